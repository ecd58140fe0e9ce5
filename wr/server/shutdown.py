"""Shutdown: reacts to SIGTERM and Ctrl-C, and divides the grace period among what has to finish."""

import os
import signal
from collections.abc import Callable

import trio

IMPATIENCE_S = 1.0
"""A second signal within this time, in seconds, is ignored. A terminal and systemd signal every process of a
group, and a parent that forwards its own signal makes the server receive it twice."""
_LEAST_FOR_EVENTS_S = 1.0


async def stop_on_signal(
    stop: trio.Event,
    *,
    now_s: Callable[[], float] = trio.current_time,
    end_at_once: Callable[[int], None] = os._exit,
) -> None:
    """Set `stop` at the first SIGTERM or Ctrl-C. A later one, after a second or more, ends the process."""
    first_s: float | None = None
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            if first_s is None:
                first_s = now_s()
                stop.set()
            elif now_s() - first_s >= IMPATIENCE_S:
                end_at_once(128 + number)


class Grace:
    """The grace period: open requests use it first, the last events get the rest."""

    def __init__(self, grace_s: float, now_s: Callable[[], float]) -> None:
        self._grace_s = grace_s
        self._now_s = now_s
        self._ends_s: float | None = None

    def begin(self) -> None:
        """Start to count the time."""
        self._ends_s = self._now_s() + self._grace_s

    def for_events_s(self) -> float:
        """Return how many seconds the last events may take: the rest, and at least one second."""
        left_s = self._grace_s if self._ends_s is None else self._ends_s - self._now_s()
        return max(left_s, min(_LEAST_FOR_EVENTS_S, self._grace_s))
