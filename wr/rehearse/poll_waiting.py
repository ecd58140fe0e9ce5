"""Waits by polling: sends heartbeats, and checks the status when the visitor may have been admitted."""

import math

import trio

from wr.rehearse.machine_watch import MachineWatch
from wr.rehearse.observations import SIGNS_OF_LIFE, ObservedAnswer, Outcome, RequestKind
from wr.rehearse.plan import MARGIN_S, Behaviour, Plan, VisitPlan
from wr.rehearse.visitor_requests import VisitorRequests

_SHORTEST_LOOK_S = 1.5
"""Shortest seconds between status calls: well below the 60 calls a minute that the contract allows."""
_LOOK_AFTER = 0.6
"""Part of the estimated wait after which a visitor checks the status. With 1, a visitor who is admitted
earlier than estimated learns of it late, and the unused session keeps others out. With 0.6 a run makes no
more status calls in total than with 1, and takes a quarter less time."""
_TO_BE_SURE_S = 0.05


class PollWaiting:
    """One visitor's wait. The next step is a heartbeat, a status call, or what the visit plan says."""

    def __init__(
        self, plan: Plan, visit_plan: VisitPlan, requests: VisitorRequests, watch: MachineWatch
    ) -> None:
        self._plan = plan
        self._visit_plan = visit_plan
        self._requests = requests
        self._watch = watch
        self._heartbeat_due_s = math.inf
        self._status_due_s = math.inf
        self._acts_at_s = math.inf
        """When the visitor leaves or stops sending heartbeats."""

    async def wait(self, joined: ObservedAnswer) -> ObservedAnswer:
        """Follow the visit plan until the visitor no longer waits; returns the answer that says so."""
        if self._visit_plan.behaviour is not Behaviour.STAYS:
            self._acts_at_s = joined.received_s + self._visit_plan.acts_after_s
        answer = joined
        self._schedule(answer)
        while True:
            # A visitor falls silent only after a heartbeat: the server drops a place with an unused token
            # early.
            has_sent_heartbeat = answer.asked in SIGNS_OF_LIFE and answer.asked is not RequestKind.JOIN
            if has_sent_heartbeat and answer.outcome is Outcome.WAITING and self._falls_silent(answer):
                if self._visit_plan.behaviour is Behaviour.VANISHES:
                    return await self._check_status_after_the_timeout(answer)
                self._status_due_s, self._heartbeat_due_s = (
                    math.inf,
                    answer.sent_s + self._visit_plan.silence_s,
                )
            asked, due_s = self._next()
            free_s = answer.received_s
            await trio.sleep_until(due_s)
            answer = await self._requests.ask(asked)
            if answer.outcome.is_fault:
                self._try_again(answer)
            elif answer.outcome is not Outcome.WAITING:
                return answer
            else:
                if asked is RequestKind.HEARTBEAT:
                    # While a request is unanswered no heartbeat can be sent: only the rest is this machine's
                    # delay.
                    self._watch.heartbeat_sent(max(due_s, free_s), answer.sent_s)
                self._schedule(answer)

    def _next(self) -> tuple[RequestKind, float]:
        if self._visit_plan.behaviour is Behaviour.LEAVES and self._acts_at_s < min(
            self._heartbeat_due_s, self._status_due_s
        ):
            return RequestKind.LEAVE, self._acts_at_s
        if self._status_due_s < self._heartbeat_due_s - _SHORTEST_LOOK_S:
            return RequestKind.STATUS, self._status_due_s
        return RequestKind.HEARTBEAT, self._heartbeat_due_s

    def _schedule(self, answer: ObservedAnswer) -> None:
        """Plan the next status call for shortly before the estimated admission, and the next heartbeat for
        when the server wants one."""
        self._status_due_s = answer.received_s + max(_LOOK_AFTER * answer.estimated_wait_s, _SHORTEST_LOOK_S)
        if answer.asked is not RequestKind.STATUS:
            self._heartbeat_due_s = answer.sent_s + self._requests.interval_s

    def _try_again(self, fault: ObservedAnswer) -> None:
        again_s = fault.received_s + self._requests.retry_s
        self._status_due_s = math.inf
        if fault.asked is RequestKind.LEAVE:
            self._acts_at_s = again_s
        elif fault.asked is RequestKind.HEARTBEAT:
            self._heartbeat_due_s = again_s

    def _falls_silent(self, heartbeat: ObservedAnswer) -> bool:
        """Whether the visitor sends no heartbeats after this one for a while.

        The visit plan must say so, and the silence must end, or cost the place, before the visitor is
        admitted. Otherwise an absent visitor would hold a session that others could use.
        """
        visit_plan = self._visit_plan
        silence_s = visit_plan.silence_s
        if visit_plan.behaviour is Behaviour.VANISHES:
            silence_s = self._plan.facts.heartbeat_timeout_seconds + MARGIN_S
        elif visit_plan.behaviour is not Behaviour.RETURNS:
            return False
        if self._heartbeat_due_s < self._acts_at_s or not self._plan.is_far_back(
            heartbeat.position, silence_s
        ):
            return False
        self._acts_at_s = math.inf
        return True

    async def _check_status_after_the_timeout(self, last_heartbeat: ObservedAnswer) -> ObservedAnswer:
        wake_s = (
            last_heartbeat.received_s + self._plan.facts.heartbeat_timeout_seconds + MARGIN_S + _TO_BE_SURE_S
        )
        while True:
            await trio.sleep_until(wake_s)
            answer = await self._requests.ask(RequestKind.STATUS)
            if not answer.outcome.is_fault:
                return answer
            wake_s = answer.received_s + self._requests.retry_s
