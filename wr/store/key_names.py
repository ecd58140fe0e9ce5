"""Names of keys. Every key of a queue carries the hash tag `{queue_id}`, so a queue lives on one shard."""

GLOBAL_TAG = "*"
"""The tag of what belongs to no queue; no queue id can contain it."""

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
    """Spells keys as `<prefix>:{<queue id>}:<part>`; the prefix keeps several waiting rooms apart."""

    def __init__(self, prefix: str = "wr") -> None:
        self.prefix = prefix

    def queue(self, queue_id: str, *parts: str) -> list[str]:
        """Spell the named keys of a queue, in that order."""
        stem = f"{self.prefix}:{{{queue_id}}}:"
        return [stem + part for part in parts]

    def all_of(self, queue_id: str) -> list[str]:
        """Spell every key a queue can have, its config first."""
        return self.queue(queue_id, *QUEUE_PARTS)

    def shared(self, part: str) -> str:
        """Spell the key of something that belongs to no queue."""
        return f"{self.prefix}:{{{GLOBAL_TAG}}}:{part}"
