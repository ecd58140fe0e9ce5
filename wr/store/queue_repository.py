"""Queues and their settings: the registry, `configure.lua`, `delete.lua` and `flush.lua`."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
import redis
import structlog
import trio

from wr.model.queue import QueueConfig
from wr.model.refusals import Unavailable
from wr.store.connection import Connection
from wr.store.key_names import KeyNames
from wr.store.script import load_script

log = structlog.get_logger("wr.store")

_CONFIGURE = load_script("configure")
_DELETE = load_script("delete")
_FLUSH = load_script("flush")
FLUSH_SLICE = 2_000
"""How many visitors are sent away in one round trip."""
FLUSH_PARTS = ("config", "waiting", "seen", "extras", "people", "tombstones", "counters", "addresses")
"""The keys of `flush.lua`, in its order."""
LOST = "The waiting room's store has lost this queue and is being told again"
_KEPT_BY_SCRIPT = {"created_ms", "updated_ms", "version"}

FlushObserver = Callable[[int, list[bytes]], None]
"""Is told when people were sent away, in milliseconds since 1970, and who."""


class RemembersQueues(Protocol):
    """What is needed of the server's memory of queues."""

    def remembers(self, queue_id: str, /) -> bool:
        """Whether the queue was there, and is not known to have been deleted."""
        ...

    def learn_settings(self, config: QueueConfig, /) -> None:
        """Take in the settings of a queue as they were read."""
        ...


class QueueRepository:
    """Reads and writes queues.

    The registry and a queue's settings are on different shards, so no script can write both. A queue that
    exists is listed all the same, even if operators create and delete it at the same time: its id is
    registered before its settings are written and again after that, and a deletion registers it again if
    there are settings once it is done. A server that dies in between leaves that to `restore`. An entry
    without settings is one whose creation or deletion was cut short, and is ignored.

    A change that is on its way is waited for even by a caller that is cancelled: the store makes it all the
    same, and only who sent it can tell others. The connection's patience for a call bounds that.
    """

    def __init__(self, connection: Connection, keys: KeyNames) -> None:
        self._connection = connection
        self._keys = keys
        self._registry = keys.shared("queues")
        self.flush_slice = FLUSH_SLICE
        self.memory: RemembersQueues | None = None
        """The server's memory of queues, if it has one."""

    async def names(self) -> list[str]:
        """List the ids in the registry, in order; some may have no settings."""
        members: Any = await self._connection.run(
            self._registry, lambda client: client.smembers(self._registry)
        )
        return sorted(member.decode() for member in members)

    async def read(self, queue_id: str) -> QueueConfig | None:
        """Read a queue's settings; None when there is none of that id. One round trip.

        Raises:
            Unavailable: the store is away, or does not know a queue that the server remembers.
        """
        (key,) = self._keys.queue(queue_id, "config")
        fields: Any = await self._connection.run(key, lambda client: client.hgetall(key))
        if not fields:
            if self.memory is not None and self.memory.remembers(queue_id):
                raise Unavailable(LOST)
            return None
        config = _config(queue_id, fields)
        if self.memory is not None:
            self.memory.learn_settings(config)
        return config

    async def read_many(self, queue_ids: Sequence[str]) -> list[QueueConfig | None]:
        """Read the settings of these queues, in their order; None where there is none. One round trip.

        Those that cannot be read are None too, and logged: one spoilt queue hides no other, nor do those of a
        machine that is away.
        """
        keys = [self._keys.queue(queue_id, "config")[0] for queue_id in queue_ids]

        def read(client: redis.Redis, keys: Sequence[str]) -> list[Any]:
            with client.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.hgetall(key)
                replies = pipeline.execute(raise_on_error=False)
            failed = [reply for reply in replies if isinstance(reply, Exception)]
            if failed and len(failed) == len(replies):
                raise failed[0]
            return replies

        found: list[dict[bytes, bytes] | Exception] = []
        if keys:
            found = await self._connection.run_each(keys, read)
        return [_config_or_none(queue_id, fields) for queue_id, fields in zip(queue_ids, found, strict=True)]

    async def write(self, config: QueueConfig, now_ms: int) -> bool:
        """Create the queue (version 0), or replace the settings of that version; False if it is another.

        Three round trips to create, one to replace.
        """
        if config.version == 0:
            await self._register(config.id)
        arguments: list[Any] = [now_ms, config.version]
        for field, value in msgspec.to_builtins(config).items():
            if field not in _KEPT_BY_SCRIPT:
                arguments += (field, setting_text(value))
        with trio.CancelScope(shield=True):
            written, _, _ = await self._connection.call(
                _CONFIGURE, self._keys.queue(config.id, "config"), arguments
            )
            if config.version == 0 and written:
                # A deletion of the queue that was there before may have unregistered the id meanwhile.
                await self._register(config.id)
        return bool(written)

    async def delete(self, queue_id: str) -> bool:
        """Delete a queue and everyone in it; False when there is none. Three round trips."""
        with trio.CancelScope(shield=True):
            deleted = await self._connection.call(_DELETE, self._keys.all_of(queue_id), [])
            await self._connection.run(self._registry, lambda client: client.srem(self._registry, queue_id))
            # Another operator may have created it anew before its id was unregistered.
            await self.restore([queue_id])
        return bool(deleted)

    async def restore(self, queue_ids: Sequence[str]) -> list[str]:
        """Register those of these queues that have settings; which these are. At most two round trips.

        Raises:
            Unavailable: of one of them it cannot be known.
        """
        keys = [self._keys.queue(queue_id, "config")[0] for queue_id in queue_ids]

        def exist(client: redis.Redis, keys: Sequence[str]) -> list[Any]:
            with client.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.exists(key)
                return pipeline.execute()

        found = await self._connection.run_each(keys, exist) if keys else []
        for exists in found:
            if isinstance(exists, Exception):
                raise exists
        existing = [queue_id for queue_id, exists in zip(queue_ids, found, strict=True) if exists]
        if existing:
            await self._register(*existing)
        return existing

    async def _register(self, *queue_ids: str) -> None:
        await self._connection.run(self._registry, lambda client: client.sadd(self._registry, *queue_ids))

    async def flush(self, queue_id: str, now_ms: int, gone: FlushObserver | None = None) -> int | None:
        """Send away as many as wait at the first call, front first; None when there is no such queue.

        `gone` is told of each slice. One round trip for each 2,000 people, so that nobody else waits for
        the whole.
        """
        keys = self._keys.queue(queue_id, *FLUSH_PARTS)
        removed = 0
        goal: int | None = None
        while goal is None or removed < goal:
            if goal is not None:
                # What was done is told; whoever has gone, or stops the server, does not wait for the rest.
                await trio.lowlevel.checkpoint_if_cancelled()
            most = self.flush_slice if goal is None else min(self.flush_slice, goal - removed)
            arguments = [now_ms, most, 0 if gone is None else 1]
            with trio.CancelScope(shield=True):
                reply = await self._connection.call(_FLUSH, keys, arguments)
            exists, sent_away, waiting, at_ms, ids = reply
            if not exists:
                return None if goal is None else removed
            if gone is not None:
                gone(at_ms, ids)
            removed += sent_away
            if goal is None:
                goal = sent_away + waiting
            if sent_away == 0:
                break
        return removed


def setting_text(value: object) -> str:
    """Spell the value of a setting as a queue's hash keeps it."""
    return repr(value) if isinstance(value, float) else str(value)


def _config_or_none(queue_id: str, fields: dict[bytes, bytes] | Exception) -> QueueConfig | None:
    if isinstance(fields, Exception):
        log.error("a queue's settings cannot be read", queue_id=queue_id, error=str(fields))
        return None
    try:
        return _config(queue_id, fields) if fields else None
    except msgspec.ValidationError:
        log.exception("a queue's settings make no sense", queue_id=queue_id)
        return None


def _config(queue_id: str, fields: dict[bytes, bytes]) -> QueueConfig:
    # Everything in a hash is text; the settings' own types say what it means.
    return msgspec.convert(
        {"id": queue_id, **{name.decode(): value.decode() for name, value in fields.items()}},
        QueueConfig,
        strict=False,
    )
