"""What counts as being told to stop, and how long what is left to do may take; on a clock moved by hand."""

import signal
from dataclasses import dataclass

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from wr.server.shutdown import Grace, stop_on_signal


@dataclass
class Clock:
    """Seconds that pass when the test says so."""

    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_is_impatience_only_a_second_after_the_first(second: signal.Signals) -> None:
    clock, stop, ended = Clock(), trio.Event(), list[int]()
    async with trio.open_nursery() as nursery:

        async def watch() -> None:
            await stop_on_signal(stop, now_s=clock, end_at_once=ended.append)

        nursery.start_soon(watch)
        await wait_all_tasks_blocked()
        signal.raise_signal(signal.SIGTERM)
        await stop.wait()
        for at_s, codes in ((100.0, []), (100.9, []), (101.0, [128 + second])):
            clock.now_s = at_s
            signal.raise_signal(second)
            await wait_all_tasks_blocked(0.05)
            assert ended == codes
        nursery.cancel_scope.cancel()


def test_the_last_events_get_what_the_last_requests_left_of_the_grace_and_a_second_at_least() -> None:
    clock = Clock()
    grace = Grace(5.0, clock)
    assert grace.for_events_s() == 5.0
    grace.begin()
    for passed_s, left_s in ((0.0, 5.0), (3.0, 2.0), (4.5, 1.0), (9.0, 1.0)):
        clock.now_s = 100.0 + passed_s
        assert grace.for_events_s() == left_s
    short = Grace(0.2, clock)
    short.begin()
    clock.now_s += 1.0
    assert short.for_events_s() == 0.2, "nobody who gives less than a second waits for one"
