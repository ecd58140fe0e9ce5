"""Where the audit trail is kept: one stream for the whole waiting room, so that it outlives its queues."""

from typing import Any

import msgspec
import redis

from wr.model.audit import AuditEntry
from wr.store.connection import Connection
from wr.store.key_names import KeyNames

MOST_ENTRIES = 10_000
"""The newest that are kept: 3 MB of the store as entries usually are, 36 MB at the very most (Valkey)."""
_SLICE = 500
_QUEUE, _ENTRY = b"queue", b"entry"


class KeptEntry(msgspec.Struct, frozen=True):
    """An entry and the id that the store gave it; ids grow."""

    id: str
    entry: AuditEntry


class AuditPage(msgspec.Struct, frozen=True):
    """Entries, newest first; `next_before` asks for those before them, None when there are none."""

    entries: list[KeptEntry]
    next_before: str | None


class AuditRepository:
    """Appends to the audit trail and reads it."""

    def __init__(self, connection: Connection, keys: KeyNames, most: int = MOST_ENTRIES) -> None:
        self._connection = connection
        self._key = keys.shared("audit")
        self._most = most

    async def append(self, entry: AuditEntry) -> None:
        """Append an entry; the oldest one goes when there are too many. One round trip."""
        fields: Any = {_QUEUE: (entry.queue_id or "").encode(), _ENTRY: msgspec.json.encode(entry)}
        await self._connection.run(
            self._key, lambda client: client.xadd(self._key, fields, maxlen=self._most, approximate=False)
        )

    async def page(self, *, queue_id: str = "", limit: int, before: str = "") -> AuditPage:
        """Read up to `limit` entries that are older than `before` (empty: the newest), newest first.

        With a queue id, those of that queue only. One round trip for each 500 entries that are looked at.
        """
        return await self._connection.run(
            self._key, lambda client: _page(client, self._key, queue_id.encode(), limit, before)
        )


def _page(client: redis.Redis, key: str, queue_id: bytes, limit: int, before: str) -> AuditPage:
    found: list[KeptEntry] = []
    newest = _just_before(before) if before else "+"
    while newest:
        # Without a queue to look for, no more than is wanted, and one to see whether there are others.
        count = _SLICE if queue_id else limit + 1
        entries: Any = client.xrevrange(key, max=newest, count=count)
        for entry_id, fields in entries:
            if queue_id in (b"", fields[_QUEUE]):
                if len(found) == limit:
                    return AuditPage(found, found[-1].id)
                entry = msgspec.json.decode(fields[_ENTRY], type=AuditEntry)
                found.append(KeptEntry(entry_id.decode(), entry))
        newest = _just_before(entries[-1][0].decode()) if len(entries) == count else ""
    return AuditPage(found, None)


def _just_before(entry_id: str) -> str:
    """Name the largest id below this one; empty when there is none. Not all engines know the form `(id`."""
    time_ms, number = map(int, entry_id.split("-"))
    if number:
        return f"{time_ms}-{number - 1}"
    # Without a number the engines take it for the last one of its millisecond.
    return f"{time_ms - 1}" if time_ms else ""
