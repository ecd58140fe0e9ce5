"""Measures the delays of this machine itself, so that the checks do not blame the server for them."""

from collections.abc import Callable

import trio

from wr.rehearse.observations import Effort

_TICK_S = 0.1
_LATE_S = 1.0


class MachineWatch:
    """Measures how late this machine sends requests and runs tasks."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._latest_join_s = 0.0
        self._heartbeats = 0
        self._late_heartbeats = 0
        self._latest_heartbeat_s = 0.0
        self._worst_lag_s = 0.0

    def join_sent(self, due_s: float, sent_s: float) -> None:
        """Record when a visitor should have joined, and when the request was sent."""
        self._latest_join_s = max(self._latest_join_s, sent_s - due_s)

    def heartbeat_sent(self, due_s: float, sent_s: float) -> None:
        """Record when a heartbeat was due, and when it was sent."""
        late_s = sent_s - due_s
        self._heartbeats += 1
        self._late_heartbeats += late_s > _LATE_S
        self._latest_heartbeat_s = max(self._latest_heartbeat_s, late_s)

    async def run(self) -> None:
        """Measure until cancelled how much later than requested this task wakes up."""
        while True:
            due_s = self._clock() + _TICK_S
            await trio.sleep(_TICK_S)
            self._worst_lag_s = max(self._worst_lag_s, self._clock() - due_s)

    def effort(self, requests: int) -> Effort:
        """Return the measured delays."""
        return Effort(
            requests=requests,
            latest_join_s=self._latest_join_s,
            heartbeats=self._heartbeats,
            late_heartbeats=self._late_heartbeats,
            latest_heartbeat_s=self._latest_heartbeat_s,
            worst_lag_s=self._worst_lag_s,
        )
