"""Loops that must not end, in virtual time."""

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from wr.supervision.loops import keep_running


class Failing:
    """A loop that is ready at once, runs for ten seconds and fails; remembers when it was started."""

    def __init__(self) -> None:
        self.starts: list[float] = []

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        self.starts.append(trio.current_time())
        task_status.started()
        await trio.sleep(10)
        raise ZeroDivisionError("a mistake")


async def test_a_loop_that_fails_is_started_again_a_second_later(autojump_clock: MockClock) -> None:
    loop = Failing()
    with capture_logs() as logs, trio.move_on_after(30):
        await keep_running("failing", loop.run)
    assert [start - loop.starts[0] for start in loop.starts] == [0, 11, 22]
    assert [(entry["log_level"], entry["loop"]) for entry in logs] == [("error", "failing")] * 2


async def test_it_is_ready_once(autojump_clock: MockClock) -> None:
    loop = Failing()
    async with trio.open_nursery() as nursery:
        with capture_logs():
            await nursery.start(keep_running, "failing", loop.run)
            assert len(loop.starts) == 1
            await trio.sleep(30)
        assert len(loop.starts) == 3
        nursery.cancel_scope.cancel()


async def test_it_is_not_ready_before_the_loop_says_so(autojump_clock: MockClock) -> None:
    async def fails_twice(task_status: trio.TaskStatus[None]) -> None:
        tries.append(trio.current_time())
        if len(tries) < 3:
            raise ZeroDivisionError("a mistake")
        task_status.started()
        await trio.sleep_forever()

    tries: list[float] = []
    async with trio.open_nursery() as nursery:
        with capture_logs():
            await nursery.start(keep_running, "failing", fails_twice)
        assert len(tries) == 3
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit])
async def test_what_is_meant_for_the_process_is_not_held_back(fatal: type[BaseException]) -> None:
    async def ends(_task_status: trio.TaskStatus[None]) -> None:
        raise fatal

    with pytest.raises(fatal):
        await keep_running("ending", ends)
