"""Runs all simulated visitors of a rehearsal and collects the observations for the checks."""

import signal
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

import trio

from wr.client.admin_client import AdminClient
from wr.rehearse.client import Client
from wr.rehearse.live_counts import LiveCounts
from wr.rehearse.machine_watch import MachineWatch
from wr.rehearse.observations import Observations
from wr.rehearse.operator import CannotRehearse, QueueState, published_keys, read_queue_state
from wr.rehearse.plan import Plan, VisitPlan
from wr.rehearse.visitor import run_visit
from wr.rehearse.visitor_requests import VisitorRequests

MOST_VERIFIED = 500
"""Number of visitors, evenly spread, whose session tokens are kept to be verified."""

_FINAL_READ_S = 10.0


class Rehearsal:
    """One run of a rehearsal."""

    def __init__(
        self,
        plan: Plan,
        visit_plans: Iterable[VisitPlan],
        client: Client,
        admin: AdminClient,
        clock: Callable[[], float],
        *,
        before_final_read: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint,
        patience_s: float | None = None,
    ) -> None:
        """Prepare the run; `run` starts it.

        `before_final_read` is awaited after the last visit, before the queue's settings are read again.
        `patience_s` is how many seconds may pass without any change of a visitor's state. By default two
        minutes, or longer if five admissions or one timeout take longer.
        """
        self.plan = plan
        self.counts = LiveCounts()
        self._visit_plans = visit_plans
        self._client = client
        self._admin = admin
        self._clock = clock
        self._before_final_read = before_final_read
        facts = plan.facts
        self.patience_s = patience_s or max(
            120.0, 5 / facts.admission_rate, facts.heartbeat_timeout_seconds + 60.0
        )
        self._watch = MachineWatch(clock)
        self._visitor_requests: list[VisitorRequests] = []
        self._is_interrupted = False
        self._stalled_s = 0.0

    @property
    def requests(self) -> int:
        """Number of requests sent so far."""
        return self._client.requests

    async def run(self, before: QueueState) -> Observations:
        """Run until every visit has ended, Ctrl-C, or no visitor's state has changed for `patience_s`.

        Raises:
            CannotRehearse: the server gives all visitors the same address; may be inside an exception group.
        """
        started_s = self._clock()
        async with trio.open_nursery() as around:
            around.start_soon(self._watch.run)
            around.start_soon(self._stop_on_signal, around.cancel_scope)
            around.start_soon(self._stop_when_stalled, around.cancel_scope)
            async with trio.open_nursery() as visitors:
                await self._start_visitors(visitors, started_s)
            around.cancel_scope.cancel()
        duration_s = self._clock() - started_s
        await self._before_final_read()
        keys = after = None
        with trio.move_on_after(_FINAL_READ_S), suppress(CannotRehearse):
            keys = await published_keys(self._client)
            after = await read_queue_state(self._admin, self.plan.facts.id)
        return Observations(
            plan=self.plan,
            visits=tuple(requests.visit() for requests in self._visitor_requests),
            effort=self._watch.effort(self._client.requests),
            duration_s=duration_s,
            facts_after=after.facts if after else None,
            waiting_before=before.waiting,
            active_before=before.active,
            published_keys=keys,
            is_interrupted=self._is_interrupted,
            stalled_s=self._stalled_s,
        )

    async def _start_visitors(self, visitors: trio.Nursery, started_s: float) -> None:
        keeps_every = -(-self.plan.visitors // MOST_VERIFIED)
        for visit_plan in self._visit_plans:
            due_s = started_s + visit_plan.comes_at_s
            await trio.sleep_until(due_s)
            requests = VisitorRequests(
                self._client.for_visitor(visit_plan.number),
                self.plan,
                visit_plan,
                self.counts,
                keeps_token=visit_plan.number % keeps_every == 0,
            )
            self._visitor_requests.append(requests)
            visitors.start_soon(run_visit, self.plan, visit_plan, due_s, requests, self.counts, self._watch)

    async def _stop_on_signal(self, scope: trio.CancelScope) -> None:
        """End the run at the first Ctrl-C or SIGTERM and keep its observations; a second ends the process."""
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                self._is_interrupted = True
                scope.cancel()
                return

    async def _stop_when_stalled(self, scope: trio.CancelScope) -> None:
        moves, moved_s = -1, self._clock()
        while True:
            if self.counts.moves != moves:
                moves, moved_s = self.counts.moves, self._clock()
            elif self._clock() - moved_s > self.patience_s:
                self._stalled_s = self._clock() - moved_s
                scope.cancel()
                return
            await trio.sleep(1)
