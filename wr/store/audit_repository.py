"""The audit trail in the store: one stream for the whole waiting room, so that it outlives its queues."""

from typing import cast

import msgspec
import redis
from redis.typing import EncodableT, FieldT

from wr.model.audit import AuditEntry
from wr.store.connection import Connection
from wr.store.key_names import KeyNames

MOST_ENTRIES = 10_000
"""How many entries are kept, the newest: usually 3 MB of the store, 36 MB at most (Valkey)."""
_SLICE = 500
StreamEntry = tuple[bytes, dict[bytes, bytes]]
"""An entry of a stream, as the store gives it: its id and its fields."""
_QUEUE, _ENTRY = b"queue", b"entry"


class KeptEntry(msgspec.Struct, frozen=True):
    """An entry, and the id that the store gave it. Later entries have larger ids."""

    id: str
    entry: AuditEntry


class AuditPage(msgspec.Struct, frozen=True):
    """Entries, newest first. `next_before` asks for the entries before them; None if there are none."""

    entries: list[KeptEntry]
    next_before: str | None


class AuditRepository:
    """Appends to the audit trail and reads it."""

    def __init__(self, connection: Connection, keys: KeyNames, most: int = MOST_ENTRIES) -> None:
        self._connection = connection
        self._key = keys.shared("audit")
        self._most = most

    async def append(self, entry: AuditEntry) -> None:
        """Append an entry. If there are too many, the oldest is deleted. One round trip."""
        fields: dict[FieldT, EncodableT] = {
            _QUEUE: (entry.queue_id or "").encode(),
            _ENTRY: msgspec.json.encode(entry),
        }
        await self._connection.run(
            self._key, lambda client: client.xadd(self._key, fields, maxlen=self._most, approximate=False)
        )

    async def page(self, *, queue_id: str = "", limit: int, before: str = "") -> AuditPage:
        """Read up to `limit` entries that are older than `before` (empty: the newest), newest first.

        With a queue id, only those of that queue. One round trip for each 500 entries that are read.
        """
        return await self._connection.run(
            self._key, lambda client: _page(client, self._key, queue_id.encode(), limit, before)
        )


def _page(client: redis.Redis, key: str, queue_id: bytes, limit: int, before: str) -> AuditPage:
    found: list[KeptEntry] = []
    newest = _just_before(before) if before else "+"
    while newest:
        # Without a queue id, one entry more than asked for tells whether there are further ones.
        count = _SLICE if queue_id else limit + 1
        entries = cast("list[StreamEntry]", client.xrevrange(key, max=newest, count=count))
        for entry_id, fields in entries:
            if queue_id in (b"", fields[_QUEUE]):
                if len(found) == limit:
                    return AuditPage(found, found[-1].id)
                entry = msgspec.json.decode(fields[_ENTRY], type=AuditEntry)
                found.append(KeptEntry(entry_id.decode(), entry))
        newest = _just_before(entries[-1][0].decode()) if len(entries) == count else ""
    return AuditPage(found, None)


def _just_before(entry_id: str) -> str:
    """Compute the largest id below this one; empty if there is none. Not all engines know the form `(id`."""
    time_ms, number = map(int, entry_id.split("-"))
    if number:
        return f"{time_ms}-{number - 1}"
    # Without a number it means the last id of that millisecond.
    return f"{time_ms - 1}" if time_ms else ""
