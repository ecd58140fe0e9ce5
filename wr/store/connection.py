"""The connection to the store: redis-py in worker threads, its failures told apart from our mistakes."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import redis
import trio
from redis.backoff import NoBackoff
from redis.retry import Retry

from wr.measures.server_measures import COMMAND, StoreMeasures
from wr.model.refusals import OutOfMemory, Unavailable
from wr.store.script import Script
from wr.store.wire import Wire, open_wire

T = TypeVar("T")

_UNAVAILABLE = (
    OSError,
    redis.ConnectionError,
    redis.TimeoutError,
    redis.exceptions.InvalidResponse,  # somebody else answers there, or a connection that lost its place
    redis.ReadOnlyError,
    redis.exceptions.NoPermissionError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.MasterDownError,
    redis.exceptions.AskError,  # and MovedError: the slot is on its way to another node
    redis.exceptions.TryAgainError,
)
# What a server says when it is up but cannot serve for now, and the client has no class for it.
_UNAVAILABLE_PREFIXES = ("MISCONF", "NOREPLICAS", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "BUSY")
_OUT_OF_MEMORY = ("OOM ", "ut of memory")
_SHORT_S = 0.5
_NO_ANSWER = "The waiting room's store cannot be reached just now"


class Connection:
    """Runs commands and scripts, each in a worker thread, at most `connections` at once.

    A call that fails is not tried again here: it may have been carried out, and only the caller knows
    whether that matters.

    After a call that got no answer in time, nothing is sent until the store answers a short question. Each
    call would otherwise wait its turn and then the whole time again, and a store that wakes up would carry
    out, all at once, what nobody waits for any more.

    `measures` takes in how many calls there are, how long each takes, and which fail.
    """

    def __init__(
        self,
        url: str,
        *,
        connections: int = 16,
        timeout_s: float = 3.0,
        measures: StoreMeasures | None = None,
    ) -> None:
        self._measures = measures or StoreMeasures(time.perf_counter)
        self.client = _client(url, timeout_s, connections + 2)
        self._questioner = _client(url, min(_SHORT_S, timeout_s), 2)
        try:
            # The pool would find an option that no connection knows at the first call only.
            self.client.connection_pool.connection_class(**self.client.connection_pool.connection_kwargs)
        except TypeError as error:
            raise ValueError(str(error)) from error
        self._timeout_s = timeout_s
        self._wires: list[Wire] = []
        self._limiter = trio.CapacityLimiter(connections)
        # Not those threads that everybody shares: others' slowness must not keep the store's wires from being
        # opened. And not the limiter above, whose places those hold who open them.
        self._openers = trio.CapacityLimiter(connections)
        self._hangs = False
        self._questions = threading.Lock()

    async def run(self, command: Callable[[redis.Redis], T]) -> T:
        """Run `command` in a worker thread; a caller that is cancelled does not wait for it to end.

        Raises:
            OutOfMemory: the store has no memory for it.
            Unavailable: the store cannot be reached or cannot serve; the command may have been carried out.
        """
        with self._measures.round_trip(COMMAND):
            return await self._in_thread(command)

    async def _in_thread(self, command: Callable[[redis.Redis], T]) -> T:
        return await trio.to_thread.run_sync(
            self._guarded, command, limiter=self._limiter, abandon_on_cancel=True
        )

    async def call(self, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run one script in one round trip (three when the store does not know it yet).

        Raises:
            Unavailable: as in `run`.
        """
        with self._measures.round_trip(script.name):
            return await self._call(script, keys, arguments)

    async def _call(self, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        command = ("EVALSHA", script.sha, len(keys), *keys, *arguments)
        borrower = object()
        try:
            # Without waiting where none is needed: the other way always takes a turn of the scheduler.
            self._limiter.acquire_on_behalf_of_nowait(borrower)
        except trio.WouldBlock:
            await self._limiter.acquire_on_behalf_of(borrower)
        try:
            if self._hangs:
                await trio.to_thread.run_sync(
                    self._ask_whether_it_answers, limiter=self._openers, abandon_on_cancel=True
                )
            wire = await self._wire()
            try:
                return await self._over(wire, command)
            except redis.exceptions.NoScriptError:
                return await self._over(wire, ("EVAL", script.text, len(keys), *keys, *arguments))
            finally:
                if wire.is_broken:
                    wire.close()
                else:
                    self._wires.append(wire)
        finally:
            self._limiter.release_on_behalf_of(borrower)

    async def _wire(self) -> Wire:
        """Take a wire that nobody uses, or open one."""
        while self._wires:
            wire = self._wires.pop()
            if wire.is_usable():
                return wire
            wire.close()
        return await trio.to_thread.run_sync(
            self._attempt, self.client, open_wire, limiter=self._openers, abandon_on_cancel=True
        )

    async def _over(self, wire: Wire, command: tuple[Any, ...]) -> Any:
        hangs = False
        try:
            with trio.move_on_after(self._timeout_s):
                with _named_failures():
                    return await wire.call(command)
            hangs = True
            raise Unavailable(_NO_ANSWER) from redis.TimeoutError("no answer in time")
        finally:
            self._hangs = hangs

    async def call_each(
        self, script: Script, calls: Sequence[tuple[Sequence[str], Sequence[Any]]]
    ) -> list[Any]:
        """Run one script for several queues in one round trip; replies, or why there is none, in their order.

        Raises:
            Unavailable: as in `run`.
        """
        with self._measures.round_trip(script.name):
            return await self._in_thread(lambda client: evaluate_each(client, script, calls))

    def close(self) -> None:
        """Close every connection."""
        while self._wires:
            self._wires.pop().close()
        self.client.close()
        self._questioner.close()

    def _guarded(self, command: Callable[[redis.Redis], T]) -> T:
        if self._hangs:
            self._ask_whether_it_answers()
        return self._attempt(self.client, command)

    def _ask_whether_it_answers(self) -> None:
        """Raise `Unavailable` unless it does; one call at a time asks, the others need not wait for it."""
        if not self._questions.acquire(blocking=False):
            raise Unavailable("The waiting room's store does not answer just now")
        try:
            self._attempt(self._questioner, lambda client: client.ping())
        finally:
            self._questions.release()

    def _attempt(self, client: redis.Redis, command: Callable[[redis.Redis], T]) -> T:
        hangs = False
        try:
            with _named_failures():
                return command(client)
        except Unavailable as error:
            hangs = isinstance(error.__cause__, redis.TimeoutError)
            raise
        finally:
            self._hangs = hangs


@contextmanager
def _named_failures() -> Iterator[None]:
    """Tell a store that cannot be reached or cannot serve from a mistake of ours."""
    try:
        yield
    except _UNAVAILABLE as error:
        raise Unavailable(_NO_ANSWER) from error
    except redis.ResponseError as error:
        if is_out_of_memory(error):
            raise OutOfMemory("The waiting room's store has no memory left") from error
        if str(error).startswith(_UNAVAILABLE_PREFIXES):
            raise Unavailable("The waiting room's store cannot serve just now") from error
        raise


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether a reply says that there is no memory, in the words of any of the engines."""
    return isinstance(error, redis.OutOfMemoryError) or any(said in str(error) for said in _OUT_OF_MEMORY)


def _client(url: str, timeout_s: float, connections: int) -> redis.Redis:
    return redis.Redis.from_url(
        url,
        protocol=2,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        max_connections=connections,
        retry=Retry(NoBackoff(), 0),
        driver_info=None,
    )


def evaluate(client: redis.Redis, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
    """Call a script by its SHA-1, and by its text when the store does not know it."""
    try:
        return client.evalsha(script.sha, len(keys), *keys, *arguments)
    except redis.exceptions.NoScriptError:
        return client.eval(script.text, len(keys), *keys, *arguments)


def evaluate_each(
    client: redis.Redis, script: Script, calls: Sequence[tuple[Sequence[str], Sequence[Any]]]
) -> list[Any]:
    """Call a script for each (keys, arguments) in one pipeline; those the store did not know it for again.

    A call that failed has its exception for a reply; the first is raised when all have failed.
    """
    with client.pipeline(transaction=False) as pipeline:
        for keys, arguments in calls:
            pipeline.evalsha(script.sha, len(keys), *keys, *arguments)
        replies = pipeline.execute(raise_on_error=False)
    for index, reply in enumerate(replies):
        if isinstance(reply, redis.exceptions.NoScriptError):
            keys, arguments = calls[index]
            try:
                replies[index] = evaluate(client, script, keys, arguments)
            except redis.ResponseError as error:
                replies[index] = error
    failed = [reply for reply in replies if isinstance(reply, Exception)]
    if failed and len(failed) == len(replies):
        raise failed[0]
    return replies
