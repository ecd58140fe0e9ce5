"""How a start waits for its store, and what ends it."""

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
# Mistakes in a setting, or in the store's: no wait mends them.
_NO_OUTAGE = (AuthenticationError, NoPermissionError, InvalidResponse, ssl.SSLCertVerificationError)


class StartUpFailure(Exception):
    """The server cannot start; the message is one line that says why."""


async def opened(use: Callable[[], Awaitable[T]], *, patience_s: float) -> T:
    """Do with the store what a start does, as soon as the store answers; what `use` returns.

    `use` is tried again from its beginning for `patience_s` seconds, as long as the store cannot be reached
    or cannot serve yet (it loads its data, its name is not known yet). The log says so at once, and every ten
    seconds.

    Raises:
        StartUpFailure: the store did not answer in time, does not let us in, or is no store.
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
    """End a start that waits for the store when the server is told to stop meanwhile."""

    async def give_up() -> None:
        await stop.wait()
        raise StartUpFailure("told to stop before the store was ready")

    async with trio.open_nursery() as patience:
        patience.start_soon(give_up)
        yield
        patience.cancel_scope.cancel()


def _is_no_outage(error: BaseException | None) -> bool:
    """Whether what the store, or the way to it, says will be the same after any wait."""
    while error is not None:
        if isinstance(error, _NO_OUTAGE):
            return True
        error = error.__cause__ or error.__context__
    return False
