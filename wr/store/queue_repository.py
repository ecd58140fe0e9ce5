"""Queues and their settings: the registry of ids, and writing, deleting and flushing queues."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, cast

import msgspec
import redis
import structlog
import trio

from wr.model.queue_settings import QueueConfig
from wr.model.refusals import Unavailable
from wr.store.configure import ConfigureScript
from wr.store.connection import Connection
from wr.store.delete import DeleteScript
from wr.store.flush import MOST_PER_CALL, FlushScript
from wr.store.key_names import KeyNames

log = structlog.get_logger("wr.store")

LOST = "The waiting room's store has lost this queue and is being told again"

FlushObserver = Callable[[int, list[bytes]], None]
"""Is told when visitors were sent away, in milliseconds since 1970, and which places they had."""


class RemembersQueues(Protocol):
    """What the repository needs of the server's memory of queues."""

    def remembers(self, queue_id: str, /) -> bool:
        """Whether the server knows the queue, and of no deletion."""
        ...

    def learn_settings(self, config: QueueConfig, /) -> None:
        """Note the settings of a queue as they were read."""
        ...


class QueueRepository:
    """Reads and writes queues.

    The registry and a queue's settings are on different shards, so no script can write both. Still a queue
    that exists is always listed, even if operators create and delete it at the same time. To create one, its
    id is registered before its settings are written, and again after that. A deletion registers the id again
    if it finds settings once it is done. If a server dies in between, `restore` repairs the registry. An id
    without settings is a creation or a deletion that was cut short, and is ignored.

    A change that was sent is waited for even if the caller is cancelled: the store makes it all the same, and
    only the sender can tell others. The connection's timeout bounds that.
    """

    def __init__(self, connection: Connection, keys: KeyNames) -> None:
        self._connection = connection
        self._keys = keys
        self._registry = keys.shared("queues")
        self._configure = ConfigureScript(keys)
        self._delete = DeleteScript(keys)
        self._flush = FlushScript(keys)
        self.flush_slice = MOST_PER_CALL
        self.acknowledged: RemembersQueues | None = None
        """The server's memory of queues, if it has one."""

    async def names(self) -> list[str]:
        """List the ids in the registry, in order. Some may have no settings."""

        def read(client: redis.Redis) -> set[bytes]:
            return cast("set[bytes]", client.smembers(self._registry))

        return sorted(member.decode() for member in await self._connection.run(self._registry, read))

    async def read(self, queue_id: str) -> QueueConfig | None:
        """Read a queue's settings; None if there is no such queue. One round trip.

        Raises:
            Unavailable: the store is away, or does not know a queue that the server remembers.
        """
        (key,) = self._keys.queue(queue_id, "config")

        def read(client: redis.Redis) -> dict[bytes, bytes]:
            return cast("dict[bytes, bytes]", client.hgetall(key))

        fields = await self._connection.run(key, read)
        if not fields:
            if self.acknowledged is not None and self.acknowledged.remembers(queue_id):
                raise Unavailable(LOST)
            return None
        config = _config(queue_id, fields)
        if self.acknowledged is not None:
            self.acknowledged.learn_settings(config)
        return config

    async def read_many(self, queue_ids: Sequence[str]) -> list[QueueConfig | None]:
        """Read the settings of these queues, in their order; None for a queue that has none. One round trip.

        Settings that cannot be read are None too, and logged, so that one spoilt queue, or one machine that
        is away, does not hide the other queues.
        """
        keys = [self._keys.queue(queue_id, "config")[0] for queue_id in queue_ids]

        def read(client: redis.Redis, keys: Sequence[str]) -> list[dict[bytes, bytes] | Exception]:
            with client.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.hgetall(key)
                replies: list[dict[bytes, bytes] | Exception] = pipeline.execute(raise_on_error=False)
            failed = [reply for reply in replies if isinstance(reply, Exception)]
            if failed and len(failed) == len(replies):
                raise failed[0]
            return replies

        found = await self._connection.run_each(keys, read) if keys else []
        return [_config_or_none(queue_id, fields) for queue_id, fields in zip(queue_ids, found, strict=True)]

    async def write(self, config: QueueConfig, now_ms: int) -> QueueConfig | None:
        """Create the queue (version 0), or replace the settings of that version.

        Returns the settings with their new version and the times of the store, or None if the store has
        another version. Three round trips to create, one to replace.
        """
        if config.version == 0:
            await self._register(config.id)
        call = self._configure.call(config, now_ms)
        with trio.CancelScope(shield=True):
            written = self._configure.reply(await self._connection.call(self._configure.script, *call))
            if config.version == 0 and written is not None:
                # The deletion of an earlier queue of that id may have unregistered it meanwhile.
                await self._register(config.id)
        if written is None:
            return None
        stored = msgspec.structs.replace(
            config,
            created_ms=config.created_ms if config.version else written.at_ms,
            updated_ms=written.at_ms,
            version=written.version,
        )
        if self.acknowledged is not None:
            self.acknowledged.learn_settings(stored)
        return stored

    async def delete(self, queue_id: str) -> bool:
        """Delete a queue with its places and sessions; False if there is none. Three round trips."""
        call = self._delete.call(queue_id)
        with trio.CancelScope(shield=True):
            deleted = self._delete.reply(await self._connection.call(self._delete.script, *call))
            await self._connection.run(self._registry, lambda client: client.srem(self._registry, queue_id))
            # Another operator may have created it anew before its id was unregistered.
            await self.restore([queue_id])
        return deleted

    async def restore(self, queue_ids: Sequence[str]) -> list[str]:
        """Register again those of these queues that have settings; returns their ids.

        Two round trips at most.

        Raises:
            Unavailable: the store cannot say whether one of them exists.
        """
        keys = [self._keys.queue(queue_id, "config")[0] for queue_id in queue_ids]

        def exist(client: redis.Redis, keys: Sequence[str]) -> list[int | Exception]:
            with client.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.exists(key)
                replies: list[int | Exception] = pipeline.execute()
            return replies

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
        """Send away as many visitors as wait at the first call, those at the front first.

        Returns how many; None if there is no such queue. `gone` is told of each slice. One round trip for
        each 2,000 visitors, so that other calls do not wait for all of it.
        """
        removed = 0
        goal: int | None = None
        while goal is None or removed < goal:
            if goal is not None:
                # What was done is reported by now. A caller that is cancelled does not wait for the rest.
                await trio.lowlevel.checkpoint_if_cancelled()
            most = self.flush_slice if goal is None else min(self.flush_slice, goal - removed)
            call = self._flush.call(queue_id, now_ms, most, tells_ids=gone is not None)
            with trio.CancelScope(shield=True):
                done = self._flush.reply(await self._connection.call(self._flush.script, *call))
            if done is None:
                return None if goal is None else removed
            if gone is not None:
                gone(done.at_ms, done.position_ids)
            removed += done.sent_away
            if goal is None:
                goal = done.sent_away + done.waiting
            if done.sent_away == 0:
                break
        return removed


def _config_or_none(queue_id: str, fields: Mapping[bytes, bytes] | Exception) -> QueueConfig | None:
    if isinstance(fields, Exception):
        log.error("a queue's settings cannot be read", queue_id=queue_id, error=str(fields))
        return None
    try:
        return _config(queue_id, fields) if fields else None
    except msgspec.ValidationError:
        log.exception("a queue's settings make no sense", queue_id=queue_id)
        return None


def _config(queue_id: str, fields: Mapping[bytes, bytes]) -> QueueConfig:
    # Every value in a hash is text. `strict=False` converts it to the type of the setting.
    return msgspec.convert(
        {"id": queue_id, **{name.decode(): value.decode() for name, value in fields.items()}},
        QueueConfig,
        strict=False,
    )
