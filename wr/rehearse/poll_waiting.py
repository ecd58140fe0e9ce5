"""Waiting in line by asking again and again: heartbeats, and a look when the turn may have come."""

import math

import trio

from wr.rehearse.machine_watch import Watch
from wr.rehearse.observations import BEATS, ObservedAnswer, Outcome, RequestKind
from wr.rehearse.plan import MARGIN_S, Behaviour, Plan, Script
from wr.rehearse.visitor_requests import Conversation

_SHORTEST_LOOK_S = 1.5
"""Well below the 60 status calls a minute that the contract grants."""
_LOOK_AFTER = 0.6
"""Of the wait that the server estimated. Whoever looks only when the turn should have come hears of it late
if it came early, and a session that its visitor does not know of keeps others out: with 0.6 a sale asks no
more often in all than with 1, and takes a quarter less time."""
_TO_BE_SURE_S = 0.05


class Polling:
    """One visitor's wait. Three things may be due next: a heartbeat, a look, and what the script says."""

    def __init__(self, plan: Plan, script: Script, talk: Conversation, watch: Watch) -> None:
        self._plan = plan
        self._script = script
        self._talk = talk
        self._watch = watch
        self._beat_s = math.inf
        self._look_s = math.inf
        self._acts_s = math.inf
        """When a visitor does not only want to wait any more."""

    async def wait(self, joined: ObservedAnswer) -> ObservedAnswer:
        """Behave as the script says until no longer in line; returns the answer that said so."""
        if self._script.behaviour is not Behaviour.STAYS:
            self._acts_s = joined.received_s + self._script.acts_after_s
        answer = joined
        self._schedule(answer)
        while True:
            # After a heartbeat at the earliest: a place whose token was never used is dropped early.
            has_beaten = answer.asked in BEATS and answer.asked is not RequestKind.JOIN
            if has_beaten and answer.outcome is Outcome.WAITING and self._falls_silent(answer):
                if self._script.behaviour is Behaviour.VANISHES:
                    return await self._look_in_after_the_timeout(answer)
                self._look_s, self._beat_s = math.inf, answer.sent_s + self._script.silence_s
            asked, due_s = self._next()
            free_s = answer.received_s
            await trio.sleep_until(due_s)
            answer = await self._talk.ask(asked)
            if answer.outcome.is_fault:
                self._try_again(answer)
            elif answer.outcome is not Outcome.WAITING:
                return answer
            else:
                if asked is RequestKind.HEARTBEAT:
                    # Whoever still waits for an answer cannot beat: only what comes on top is our own delay.
                    self._watch.beat_left(max(due_s, free_s), answer.sent_s)
                self._schedule(answer)

    def _next(self) -> tuple[RequestKind, float]:
        if self._script.behaviour is Behaviour.LEAVES and self._acts_s < min(self._beat_s, self._look_s):
            return RequestKind.LEAVE, self._acts_s
        if self._look_s < self._beat_s - _SHORTEST_LOOK_S:
            return RequestKind.STATUS, self._look_s
        return RequestKind.HEARTBEAT, self._beat_s

    def _schedule(self, answer: ObservedAnswer) -> None:
        """Plan the next look for somewhat before the turn should come by what the server said, and the next
        heartbeat for when it wants one."""
        self._look_s = answer.received_s + max(_LOOK_AFTER * answer.estimated_wait_s, _SHORTEST_LOOK_S)
        if answer.asked is not RequestKind.STATUS:
            self._beat_s = answer.sent_s + self._talk.interval_s

    def _try_again(self, fault: ObservedAnswer) -> None:
        again_s = fault.received_s + self._talk.retry_s
        self._look_s = math.inf
        if fault.asked is RequestKind.LEAVE:
            self._acts_s = again_s
        elif fault.asked is RequestKind.HEARTBEAT:
            self._beat_s = again_s

    def _falls_silent(self, beat: ObservedAnswer) -> bool:
        """Whether this was the last heartbeat for a while: by the script there is to be no next one, and the
        silence will be over, or noticed, before the turn comes. Otherwise a session would be kept from others
        by somebody who is not there."""
        script = self._script
        silence_s = script.silence_s
        if script.behaviour is Behaviour.VANISHES:
            silence_s = self._plan.facts.heartbeat_timeout_seconds + MARGIN_S
        elif script.behaviour is not Behaviour.RETURNS:
            return False
        if self._beat_s < self._acts_s or not self._plan.is_far_back(beat.position, silence_s):
            return False
        self._acts_s = math.inf
        return True

    async def _look_in_after_the_timeout(self, last_beat: ObservedAnswer) -> ObservedAnswer:
        wake_s = last_beat.received_s + self._plan.facts.heartbeat_timeout_seconds + MARGIN_S + _TO_BE_SURE_S
        while True:
            await trio.sleep_until(wake_s)
            answer = await self._talk.ask(RequestKind.STATUS)
            if not answer.outcome.is_fault:
                return answer
            wake_s = answer.received_s + self._talk.retry_s
