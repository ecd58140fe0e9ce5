"""The event loop's delay: a task that sleeps, and tells how much too late it woke up."""

from typing import Protocol

import trio

INTERVAL_S = 0.25


class Observing(Protocol):
    """What takes in the delays, in seconds."""

    def observe(self, value: float, /) -> None:
        """Take in one."""
        ...


async def watch_event_loop(delays: Observing, *, interval_s: float = INTERVAL_S) -> None:
    """Sleep again and again, for ever; up to a millisecond is how exactly the system wakes anybody."""
    while True:
        due = trio.current_time() + interval_s
        await trio.sleep_until(due)
        delays.observe(max(0.0, trio.current_time() - due))
