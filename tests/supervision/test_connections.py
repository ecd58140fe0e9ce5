"""Supervision: an error ends one connection and is logged once; cancellation passes."""

from collections.abc import Callable

import pytest
import structlog
import trio
import trio.testing

from wr.supervision.client_gone import ClientGone
from wr.supervision.connections import Supervised, start_supervised


async def ended_by(work: Callable[[], object], *, closed: list[str]) -> list[str]:
    """Run something under supervision; returns what was logged."""
    with structlog.testing.capture_logs() as logs, Supervised("the work", lambda: closed.append("closed")):
        work()
    assert all(entry["what"] == "the work" for entry in logs)
    return [repr(entry["exc_info"]) for entry in logs]


def raising(error: BaseException) -> Callable[[], object]:
    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        (ValueError("a"), ["ValueError('a')"]),
        (ExceptionGroup("", [ExceptionGroup("", [ValueError("a")])]), ["ValueError('a')"]),
        (ExceptionGroup("", [ValueError("a"), ClientGone()]), ["ValueError('a')"]),
        (ClientGone(), []),
        (ExceptionGroup("", [ClientGone(), ClientGone()]), []),
    ],
    ids=["an error", "an error in groups", "an error as the client goes", "gone", "gone in two tasks"],
)
async def test_an_error_is_logged_once_and_closes_the_connection(error: Exception, logged: list[str]) -> None:
    closed: list[str] = []
    assert await ended_by(raising(error), closed=closed) == logged
    assert closed == ["closed"]


async def test_what_ends_well_is_not_closed() -> None:
    closed: list[str] = []
    assert await ended_by(lambda: None, closed=closed) == []
    assert closed == []


async def test_a_cancellation_passes() -> None:
    closed: list[str] = []
    with trio.CancelScope() as scope:
        with Supervised("the work", lambda: closed.append("closed")):
            scope.cancel()
            await trio.lowlevel.checkpoint()
        pytest.fail("the cancellation was lost")
    assert scope.cancelled_caught
    assert closed == []


async def test_a_cancellation_passes_though_another_task_fails_at_the_same_time() -> None:
    closed: list[str] = []

    async def fail_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ZeroDivisionError

    with trio.CancelScope() as scope:
        with structlog.testing.capture_logs() as logs, Supervised("work", lambda: closed.append("closed")):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                nursery.start_soon(fail_when_cancelled)
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
        pytest.fail("the cancellation was lost")
    assert scope.cancelled_caught
    assert (len(logs), closed) == (1, ["closed"])


async def test_what_ends_the_process_passes() -> None:
    with pytest.raises(KeyboardInterrupt):
        await ended_by(raising(KeyboardInterrupt()), closed=[])


async def test_a_task_that_fails_ends_no_other_task_of_its_nursery() -> None:
    closed: list[str] = []

    async def fail() -> None:
        raise ZeroDivisionError

    async with trio.open_nursery() as nursery:
        start_supervised(nursery, fail, what="the work", close=lambda: closed.append("closed"))
        await trio.testing.wait_all_tasks_blocked()
        await trio.lowlevel.checkpoint()
    assert closed == ["closed"]
