"""A link to one server of the store, which tells outages of the server from mistakes of ours."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import redis
import trio

from wr.metrics.server_metrics import COMMAND, StoreMetrics
from wr.model.refusals import OutOfMemory, Unavailable
from wr.store.async_connection import AsyncConnection, open_connection
from wr.store.script import Argument, Raw, Script, evaluate_each

T = TypeVar("T")
EachCommand = Callable[[redis.Redis, Sequence[str]], Sequence[T | Exception]]
"""Asks one server about these keys; returns for each key its reply, or the exception it met."""

_UNAVAILABLE = (
    OSError,
    redis.ConnectionError,
    redis.TimeoutError,
    redis.exceptions.InvalidResponse,  # something else answers there, or the connection is out of step
    redis.ReadOnlyError,
    redis.exceptions.NoPermissionError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.MasterDownError,
    redis.exceptions.AskError,  # and MovedError: the slot has moved, or is being moved, to another node
    redis.exceptions.TryAgainError,
)
# Errors of a server that is up but cannot serve for now, for which the client has no class.
_UNAVAILABLE_PREFIXES = ("MISCONF", "NOREPLICAS", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "BUSY")
_OUT_OF_MEMORY = ("OOM ", "ut of memory")
_BROKEN_OFF = "non local key"
SHORT_S = 0.5
"""How long to wait for an answer that comes at once, if at all; in seconds."""
_NO_ANSWER = "The waiting room's store cannot be reached just now"


MakeClient = Callable[[float, int], redis.Redis]
"""Makes a client that connects when it is used, given a timeout in seconds and the most connections."""


class Unreached(Unavailable):
    """The server could not be reached. Nothing was sent, so nothing was carried out."""


class BrokenOff(Unavailable):
    """A script ended before its end: it deleted a key and used it again while the key's slot was being moved.

    What the script had done by then is done.
    """


class ServerLink:
    """Runs commands and scripts on one server, at most `connections` at once.

    A call that fails is not repeated here: it may have been carried out, and only the caller knows whether
    that matters.

    After a call that got no answer in time, nothing is sent until the store has answered a ping. Otherwise
    each call would wait for a connection and then for the whole timeout again, and a store that recovers
    would carry out calls whose callers have given up.

    After a call that got no answer in time, or that a replica refused, idle connections are closed: they may
    lead to a machine that another has replaced under the same name.

    `metrics` counts the calls, how long each takes, and which fail.
    """

    is_sharded = False

    def __init__(
        self,
        make_client: MakeClient,
        *,
        name: str = "",
        connections: int = 16,
        timeout_s: float = 3.0,
        metrics: StoreMetrics | None = None,
    ) -> None:
        self.name = name
        self._metrics = metrics or StoreMetrics(time.perf_counter)
        self.client = make_client(timeout_s, connections + 2)
        self._questioner = make_client(min(SHORT_S, timeout_s), 2)
        try:
            # The pool itself would reject an unknown option only at the first call.
            self.client.connection_pool.connection_class(**self.client.connection_pool.connection_kwargs)
        except TypeError as error:
            raise ValueError(str(error)) from error
        self._timeout_s = timeout_s
        self._idle: list[AsyncConnection] = []
        self._limiter = trio.CapacityLimiter(connections)
        # A limiter of its own. Other slow work on the shared threads must not keep connections from being
        # opened, and callers that open a connection hold the limiter above already.
        self._openers = trio.CapacityLimiter(connections)
        self._hangs = False
        self._is_closed = False
        self._questions = threading.Lock()

    async def run(self, _key: str, command: Callable[[redis.Redis], T]) -> T:
        """Run `command` in a worker thread. A caller that is cancelled does not wait for its end.

        Raises:
            OutOfMemory: the store has no memory for it.
            Unavailable: the store cannot be reached or cannot serve. The command may have been carried out.
        """
        with self._metrics.round_trip(COMMAND):
            return await self._in_thread(command)

    async def run_each(self, keys: Sequence[str], command: EachCommand[T]) -> Sequence[T | Exception]:
        """Run `command` with all of these keys."""
        return await self.run("", lambda client: command(client, keys))

    async def ping(self) -> None:
        """Make one round trip.

        Raises:
            Unavailable: as in `run`.
        """
        await self.run("", lambda client: client.ping())

    async def client_for(self, _key: str) -> redis.Redis:
        """Return the client of the server."""
        return self.client

    def machine_of(self, _key: str) -> str:
        """Name the server."""
        return self.name

    async def _in_thread(self, command: Callable[[redis.Redis], T]) -> T:
        return await trio.to_thread.run_sync(
            self._guarded, command, limiter=self._limiter, abandon_on_cancel=True
        )

    async def call(
        self, script: Script[Raw], keys: Sequence[str], arguments: Sequence[Argument], *, asking: bool = False
    ) -> Raw:
        """Run one script in one round trip (three if the store does not know the script yet).

        With `asking` the server carries it out even if the slot is still being moved to it.

        Raises:
            Unavailable: as in `run`; `Unreached` if nothing was sent.
        """
        with self._metrics.round_trip(script.name):
            return await self._call(script, keys, arguments, asking=asking)

    async def _call(
        self, script: Script[Raw], keys: Sequence[str], arguments: Sequence[Argument], *, asking: bool
    ) -> Raw:
        command = ("EVALSHA", script.sha, len(keys), *keys, *arguments)
        borrower = object()
        try:
            # If no wait is needed, this saves the turn of the scheduler that the waiting form always takes.
            self._limiter.acquire_on_behalf_of_nowait(borrower)
        except trio.WouldBlock:
            await self._limiter.acquire_on_behalf_of(borrower)
        try:
            if self._hangs:
                await trio.to_thread.run_sync(
                    self._ask_whether_it_answers, limiter=self._openers, abandon_on_cancel=True
                )
                self._drop_idle()
            connection = await self._take_connection()
            try:
                if asking:
                    await self._over(connection, ("ASKING",))
                reply: Raw = await self._over(connection, command)
            except redis.exceptions.NoScriptError:
                if asking:
                    await self._over(connection, ("ASKING",))
                reply = await self._over(connection, ("EVAL", script.text, len(keys), *keys, *arguments))
            finally:
                if connection.is_broken or self._is_closed:
                    connection.close()
                else:
                    self._idle.append(connection)
            return reply
        finally:
            self._limiter.release_on_behalf_of(borrower)

    async def _take_connection(self) -> AsyncConnection:
        """Take an idle connection, or open one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable():
                return connection
            connection.close()
        return await trio.to_thread.run_sync(
            self._open_connection, limiter=self._openers, abandon_on_cancel=True
        )

    def _open_connection(self) -> AsyncConnection:
        try:
            return self._attempt(self.client, open_connection)
        except Unavailable as error:
            raise Unreached(error.message) from error.__cause__

    async def _over(self, connection: AsyncConnection, command: tuple[Argument, ...]) -> Any:
        hangs = False
        try:
            with trio.move_on_after(self._timeout_s):
                with _named_failures():
                    return await connection.call(command)
            hangs = True
            self._drop_idle()
            raise Unavailable(_NO_ANSWER) from redis.TimeoutError("no answer in time")  # noqa: TRY301
        except Unavailable as error:
            if isinstance(error.__cause__, redis.ReadOnlyError):
                connection.is_broken = True
                self._drop_idle()
            raise
        finally:
            self._hangs = hangs

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    async def call_each(
        self, script: Script[Raw], calls: Sequence[tuple[Sequence[str], Sequence[Argument]]]
    ) -> list[Raw | Exception]:
        """Run one script for several queues in one round trip.

        Returns replies in the order of the calls; the reply of a call that failed is its exception.

        Raises:
            Unavailable: as in `run`.
        """
        with self._metrics.round_trip(script.name):
            replies = await self._in_thread(lambda client: evaluate_each(client, script, calls))
        return [_named_reply(reply) for reply in replies]

    def close(self) -> None:
        """Close every connection."""
        self._is_closed = True
        self._drop_idle()
        self.client.close()
        self._questioner.close()

    def _guarded(self, command: Callable[[redis.Redis], T]) -> T:
        if self._hangs:
            self._ask_whether_it_answers()
        return self._attempt(self.client, command)

    def _ask_whether_it_answers(self) -> None:
        """Raise `Unavailable` unless the store answers. One caller asks at a time; others fail at once."""
        if not self._questions.acquire(blocking=False):
            raise Unreached("The waiting room's store does not answer just now")
        try:
            self._attempt(self._questioner, lambda client: client.ping())
        except Unavailable as error:
            raise Unreached(error.message) from error.__cause__
        finally:
            self._questions.release()

    def _attempt(self, client: redis.Redis, command: Callable[[redis.Redis], T]) -> T:
        hangs = False
        try:
            with _named_failures():
                return command(client)
        except Unavailable as error:
            hangs = isinstance(error.__cause__, redis.TimeoutError)
            if hangs or isinstance(error.__cause__, redis.ReadOnlyError):
                client.connection_pool.disconnect(inuse_connections=False)
            raise
        finally:
            self._hangs = hangs


@contextmanager
def _named_failures() -> Iterator[None]:
    """Turn errors of a store that cannot be reached or cannot serve into `Unavailable`; others pass."""
    try:
        yield
    except _UNAVAILABLE as error:
        raise Unavailable(_NO_ANSWER) from error
    except redis.ResponseError as error:
        if is_out_of_memory(error):
            raise OutOfMemory("The waiting room's store has no memory left") from error
        if str(error).startswith(_UNAVAILABLE_PREFIXES):
            raise Unavailable("The waiting room's store cannot serve just now") from error
        if _BROKEN_OFF in str(error):
            raise BrokenOff("The waiting room's store cannot serve just now") from error
        raise


def _named_reply(reply: T) -> T | Unavailable:
    """Turn the error of a script that was broken off, among the replies of a pipeline, into `BrokenOff`."""
    if isinstance(reply, redis.ResponseError) and _BROKEN_OFF in str(reply):
        return BrokenOff("The waiting room's store cannot serve just now")
    return reply


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that there is no memory, in the words of any engine."""
    return isinstance(error, redis.OutOfMemoryError) or any(said in str(error) for said in _OUT_OF_MEMORY)
