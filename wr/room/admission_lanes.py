"""Admission by machine: passes over queues on one machine of the store do not hold up the others."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog
import trio

from wr.model.refusals import Unavailable

log = structlog.get_logger("wr.admission")


class AdmissionLanes:
    """Runs passes over the queues of several machines at the same time, one pass for each machine.

    A machine that does not answer keeps its own lane busy until the connection's timeout. The next round
    begins without it.
    """

    def __init__(self, nursery: trio.Nursery, pass_over: Callable[[Sequence[str]], Awaitable[int]]) -> None:
        self._nursery = nursery
        self._pass_over = pass_over
        self._busy: set[str] = set()

    async def run(self, lanes: Mapping[str, Sequence[str]], patience_s: float) -> int:
        """Pass over the queues of each machine, and wait at most `patience_s` for the passes to end.

        Returns how many visitors were let in by then.

        Raises:
            Exception: all passes have failed; this is the failure of the first.
        """
        idle = [lane for lane in lanes if lane not in self._busy]
        outcomes: dict[str, int | Exception] = {}
        all_done = trio.Event()
        is_over = False

        async def pass_over(lane: str) -> None:
            try:
                outcomes[lane] = await self._pass_over(lanes[lane])
            except Exception as error:
                outcomes[lane] = error
                if is_over and not isinstance(error, Unavailable):
                    log.exception("a late admission pass failed", machine=lane)
            finally:
                self._busy.discard(lane)
                if len(outcomes) == len(idle):
                    all_done.set()

        self._busy.update(idle)
        for lane in idle:
            self._nursery.start_soon(pass_over, lane, name=f"admission at {lane}")
        if idle:
            with trio.move_on_after(patience_s):
                await all_done.wait()
        is_over = True
        failures = [outcome for outcome in outcomes.values() if isinstance(outcome, Exception)]
        if failures and len(failures) == len(idle):
            raise failures[0]
        return sum(outcome for outcome in outcomes.values() if isinstance(outcome, int))
