"""Announcements between servers: that something happened to visitors whose streams another server may have.

An announcement only names the visitors. What happened is read from the store. If an announcement is lost, a
stream learns it some seconds later, at its next look. An announcement that comes twice does no harm.
"""

import threading
from collections.abc import Callable, Iterable, Mapping

import redis
import structlog
import trio

from wr.model.refusals import Unavailable
from wr.store.connection import Connection
from wr.store.key_names import KeyNames

log = structlog.get_logger("wr.announcements")

_EVERYBODY = b"*"
_SOME = b"+"
_ID_BYTES = 16
_LISTEN_S = 0.5
_PAUSE_S = 0.5

Heard = Callable[[str, list[bytes] | None], None]


class Announcements:
    """Sends announcements to all servers, and receives theirs, on one channel of the store."""

    def __init__(self, connection: Connection, keys: KeyNames) -> None:
        self._connection = connection
        self._channel = keys.shared("announcements")

    async def announce(self, news: Mapping[str, Iterable[bytes] | None]) -> None:
        """Announce, for each queue, the visitors that have news (None: all of them). One round trip."""
        messages = [_spell(queue_id, ids) for queue_id, ids in news.items()]
        if not messages:
            return

        def publish(client: redis.Redis) -> None:
            with client.pipeline(transaction=False) as pipeline:
                for message in messages:
                    pipeline.publish(self._channel, message)
                pipeline.execute()

        await self._connection.run(self._channel, publish)

    async def listen(
        self, heard: Heard, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Call `heard` for each announcement, for ever. Subscribes again after the store was away."""
        stop = threading.Event()
        token = trio.lowlevel.current_trio_token()
        is_away = False
        is_ready = False

        def subscribed() -> None:
            nonlocal is_ready, is_away
            if not is_ready:
                is_ready = True
                task_status.started()
            if is_away:
                log.info("announcements of other replicas are heard again")
            is_away = False

        try:
            while True:
                try:
                    client = await self._connection.client_for(self._channel)
                    await trio.to_thread.run_sync(
                        self._listen,
                        client,
                        heard,
                        token,
                        stop,
                        subscribed,
                        abandon_on_cancel=True,
                        limiter=_one_thread(),
                    )
                except Unavailable as error:
                    if not is_away:
                        log.warning(
                            "announcements of other replicas are not heard", error=str(error.__cause__)
                        )
                    is_away = True
                    await trio.sleep(_PAUSE_S)
        finally:
            stop.set()

    def _listen(
        self,
        client: redis.Redis,
        heard: Heard,
        token: trio.lowlevel.TrioToken,
        stop: threading.Event,
        subscribed: Callable[[], None],
    ) -> None:
        """Listen in this thread until `stop` is set, or another machine has the channel.

        Raises:
            Unavailable: the store went away.
        """
        subscription = client.pubsub()  # type: ignore[no-untyped-call]
        machine = self._connection.machine_of(self._channel)
        try:
            subscription.subscribe(self._channel)
            # In some clusters, only subscribers at the same machine receive what is published there.
            while not stop.is_set() and self._connection.machine_of(self._channel) == machine:
                message = subscription.get_message(timeout=_LISTEN_S)
                if message is None:
                    continue
                if message["type"] == "subscribe":
                    token.run_sync_soon(subscribed)
                elif message["type"] == "message":
                    queue_id, ids = _read(message["data"])
                    token.run_sync_soon(heard, queue_id, ids)
        except (redis.RedisError, OSError) as error:
            raise Unavailable("The waiting room's store cannot be reached just now") from error
        except trio.RunFinishedError:
            return
        finally:
            subscription.close()


def _one_thread() -> trio.CapacityLimiter:
    """Return a limiter of its own, because listening takes a thread for as long as the server runs."""
    return trio.CapacityLimiter(1)


def _spell(queue_id: str, ids: Iterable[bytes] | None) -> bytes:
    name = queue_id.encode()
    return name + (_EVERYBODY if ids is None else _SOME + b"".join(ids))


def _read(message: bytes) -> tuple[str, list[bytes] | None]:
    for at, byte in enumerate(message):
        # No queue id contains either mark.
        if byte in (_EVERYBODY[0], _SOME[0]):
            ids = message[at + 1 :]
            if byte == _EVERYBODY[0]:
                return message[:at].decode(), None
            return message[:at].decode(), [ids[n : n + _ID_BYTES] for n in range(0, len(ids), _ID_BYTES)]
    return message.decode(), None
