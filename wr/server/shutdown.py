"""How a server is told to stop, and how long it may take."""

import os
import signal
from collections.abc import Callable

import trio

IMPATIENCE_S = 1.0
"""A signal that comes sooner after the first one is the same wish: a terminal and systemd signal every
process of a group, and one that hands its own signal on makes two of it."""
_LEAST_FOR_EVENTS_S = 1.0


async def stop_on_signal(
    stop: trio.Event,
    *,
    now_s: Callable[[], float] = trio.current_time,
    end_at_once: Callable[[int], None] = os._exit,
) -> None:
    """Set `stop` at the first SIGTERM or Ctrl-C; one at least a second later ends the process."""
    first_s: float | None = None
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            if first_s is None:
                first_s = now_s()
                stop.set()
            elif now_s() - first_s >= IMPATIENCE_S:
                end_at_once(128 + number)


class Grace:
    """The time that a stop may take, shared by all that has something to finish."""

    def __init__(self, grace_s: float, now_s: Callable[[], float]) -> None:
        self._grace_s = grace_s
        self._now_s = now_s
        self._ends_s: float | None = None

    def begin(self) -> None:
        """Count from now on."""
        self._ends_s = self._now_s() + self._grace_s

    def for_events_s(self) -> float:
        """Give what is left of it to the last events; a second of it they get in any case."""
        left_s = self._grace_s if self._ends_s is None else self._ends_s - self._now_s()
        return max(left_s, min(_LEAST_FOR_EVENTS_S, self._grace_s))
