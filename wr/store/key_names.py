"""Names of keys. Every key of a queue has the hash tag `{queue_id}`, so that a queue is on one shard."""

GLOBAL_TAG = "*"
"""The tag of keys that belong to no queue. No queue id can contain it."""

QUEUE_PARTS = (
    "config",
    "waiting",
    "seen",
    "sessions",
    "records",
    "extras",
    "people",
    "tombstones",
    "counters",
    "bucket",
    "ring",
    "history_fine",
    "history_coarse",
    "addresses",
    "passes",
    "pass_ends",
    "blocks",
    "retries_even",
    "retries_odd",
    "block_notes",
    "revoked",
    "recalled",
    "limit_status",
    "limit_heartbeat",
    "limit_activity",
)


class KeyNames:
    """Spells keys as `<prefix>:{<queue id>}:<part>`. The prefix separates several waiting rooms."""

    def __init__(self, prefix: str = "wr") -> None:
        self.prefix = prefix

    def queue(self, queue_id: str, *parts: str) -> list[str]:
        """Spell these keys of a queue, in that order."""
        stem = f"{self.prefix}:{{{queue_id}}}:"
        return [stem + part for part in parts]

    def all_of(self, queue_id: str) -> list[str]:
        """Spell every key that a queue can have, its config first."""
        return self.queue(queue_id, *QUEUE_PARTS)

    def shared(self, part: str) -> str:
        """Spell a key that belongs to no queue."""
        return f"{self.prefix}:{{{GLOBAL_TAG}}}:{part}"
