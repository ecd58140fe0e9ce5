"""Watches this machine itself: what it does late must not be blamed on the server."""

from collections.abc import Callable

import trio

from wr.rehearse.observations import Effort

_TICK_S = 0.1
_LATE_S = 1.0


class MachineWatch:
    """Measures how late things happen here."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._latest_join_s = 0.0
        self._heartbeats = 0
        self._late_heartbeats = 0
        self._latest_heartbeat_s = 0.0
        self._worst_lag_s = 0.0

    def join_sent(self, due_s: float, sent_s: float) -> None:
        """Note when somebody was to join and when the request left."""
        self._latest_join_s = max(self._latest_join_s, sent_s - due_s)

    def heartbeat_sent(self, due_s: float, sent_s: float) -> None:
        """Note when a heartbeat was due and when it left."""
        late_s = sent_s - due_s
        self._heartbeats += 1
        self._late_heartbeats += late_s > _LATE_S
        self._latest_heartbeat_s = max(self._latest_heartbeat_s, late_s)

    async def run(self) -> None:
        """Measure for ever how much later than asked this task gets its turn."""
        while True:
            due_s = self._clock() + _TICK_S
            await trio.sleep(_TICK_S)
            self._worst_lag_s = max(self._worst_lag_s, self._clock() - due_s)

    def effort(self, requests: int) -> Effort:
        """Sum up."""
        return Effort(
            requests=requests,
            latest_join_s=self._latest_join_s,
            heartbeats=self._heartbeats,
            late_heartbeats=self._late_heartbeats,
            latest_heartbeat_s=self._latest_heartbeat_s,
            worst_lag_s=self._worst_lag_s,
        )
