"""Measures the delay of the event loop: a task sleeps, and reports how late it woke up."""

from typing import Protocol

import trio

INTERVAL_S = 0.25


class Observing(Protocol):
    """Receives the delays, in seconds."""

    def observe(self, value: float, /) -> None:
        """Receive one delay."""
        ...


async def watch_event_loop(delays: Observing, *, interval_s: float = INTERVAL_S) -> None:
    """Measure for ever. Delays up to a millisecond are normal: the operating system is no more exact."""
    while True:
        due = trio.current_time() + interval_s
        await trio.sleep_until(due)
        delays.observe(max(0.0, trio.current_time() - due))
