"""Waits for the store at the start: retries until the store answers, and decides when to give up."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import structlog
import trio
from redis.exceptions import AuthenticationError, InvalidResponse, NoPermissionError, RedisError

from wr.model.refusals import Unavailable

T = TypeVar("T")

log = structlog.get_logger("wr")

_SAID_EVERY_S = 10.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 1.0
# Mistakes in the settings of the server or of the store: waiting does not help.
_NO_OUTAGE = (AuthenticationError, NoPermissionError, InvalidResponse, ssl.SSLCertVerificationError)


class StartUpFailure(Exception):
    """The server cannot start. The message is one line with the reason."""


async def opened(use: Callable[[], Awaitable[T]], *, patience_s: float) -> T:
    """Call `use` until it succeeds, and return its result.

    Retries from the beginning of `use`, for `patience_s` seconds, while the store is unreachable or not ready
    (it still loads its data, or its host name does not resolve yet). Logs the first failure at once, then one
    every ten seconds.

    Raises:
        StartUpFailure: the store did not answer in time, refused the login, or is not a store.
    """
    began = trio.current_time()
    pause_s = _FIRST_PAUSE_S
    said_at: float | None = None
    while True:
        try:
            result = await use()
        except Unavailable as error:
            waited_s = trio.current_time() - began
            left_s = patience_s - waited_s
            why = str(error.__cause__ or error)
            if left_s <= 0 or _is_no_outage(error):
                raise StartUpFailure(f"the store does not answer: {why}") from error
            if said_at is None or trio.current_time() - said_at >= _SAID_EVERY_S:
                said_at = trio.current_time()
                log.warning("the start waits for the store", error=why, seconds_left=round(left_s))
            await trio.sleep(min(pause_s, left_s))
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
        except RedisError as error:
            raise StartUpFailure(f"the store cannot be used: {error}") from error
        else:
            if said_at is not None:
                log.info("the store answers", waited_s=round(trio.current_time() - began, 1))
            return result


@asynccontextmanager
async def unless_stopped(stop: trio.Event) -> AsyncIterator[None]:
    """Run the block, and end it if `stop` is set meanwhile.

    Raises:
        StartUpFailure: `stop` was set; inside an exception group.
    """

    async def give_up() -> None:
        await stop.wait()
        raise StartUpFailure("stopped before the store was ready")

    async with trio.open_nursery() as patience:
        patience.start_soon(give_up)
        yield
        patience.cancel_scope.cancel()


def _is_no_outage(error: BaseException | None) -> bool:
    """Tell whether an error, or one of its causes, stays the same however long the server waits."""
    while error is not None:
        if isinstance(error, _NO_OUTAGE):
            return True
        error = error.__cause__ or error.__context__
    return False
