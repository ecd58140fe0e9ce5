"""Waits on a WebSocket: the server sends updates, and the open stream counts as heartbeats."""

import math
from typing import Any

import trio

from wr.rehearse.observations import ObservedAnswer, Outcome, RequestKind
from wr.rehearse.plan import MARGIN_S, Behaviour, Plan, VisitPlan
from wr.rehearse.visitor_requests import VisitorRequests
from wr.rehearse.websocket import WebSocket

_TO_BE_SURE_S = 0.05


class StreamWaiting:
    """One visitor's wait on a WebSocket, which the visitor closes and opens again as the visit plan says."""

    def __init__(self, plan: Plan, visit_plan: VisitPlan, requests: VisitorRequests) -> None:
        self._plan = plan
        self._visit_plan = visit_plan
        self._requests = requests
        self._acts_at_s = math.inf
        """When the visitor leaves or closes the stream."""
        self._position = 0
        self._has_lost_stream = False

    async def wait(self, joined: ObservedAnswer) -> ObservedAnswer:
        """Follow the visit plan until the visitor no longer waits; returns the answer that says so."""
        if self._visit_plan.behaviour is not Behaviour.STAYS:
            self._acts_at_s = joined.received_s + self._visit_plan.acts_after_s
        self._position = joined.position
        while True:
            answer, socket = await self._requests.open_stream()
            if socket is None:
                if not answer.outcome.is_fault:
                    return answer
                await trio.sleep(self._requests.retry_s)
                continue
            try:
                final = await self._listen(answer, socket)
            finally:
                await socket.aclose()
            if final is not None:
                return final
            if not self._has_lost_stream and self._visit_plan.behaviour in (
                Behaviour.RETURNS,
                Behaviour.VANISHES,
            ):
                self._acts_at_s = math.inf
                self._requests.hung_up()
                if self._visit_plan.behaviour is Behaviour.VANISHES:
                    return await self._check_status_after_the_timeout()
                await trio.sleep(self._visit_plan.silence_s)
            else:
                # The server closed the stream, as it does when it stops. The place still exists.
                await trio.sleep(self._requests.retry_s)

    async def _listen(self, opened: ObservedAnswer, socket: WebSocket) -> ObservedAnswer | None:
        """Listen until the wait ends, and return the last answer.

        None if the visitor leaves the stream, or if the stream is lost.
        """
        answer = opened
        self._has_lost_stream = False
        while True:
            if answer.outcome is not Outcome.WAITING:
                return answer
            self._position = answer.position
            acts_s = self._acts_at_s if self._may_act() else math.inf
            message = await self._next_message(socket, acts_s)
            if message is not None:
                answer = self._requests.heard(message) or answer
            elif self._has_lost_stream:
                self._requests.lost_stream(socket.heard_s)
                return None
            elif self._visit_plan.behaviour is Behaviour.LEAVES:
                return await self._leave()
            else:
                return None

    async def _next_message(self, socket: WebSocket, acts_s: float) -> dict[str, Any] | None:
        """Wait for the next message. None if it is time to act, or the stream is lost."""
        while True:
            quiet_s = socket.heard_s + self._plan.stream_patience_s
            with trio.move_on_at(min(acts_s, quiet_s)) as until:
                message = await socket.message()
                self._has_lost_stream = message is None
                return message
            if until.cancelled_caught and trio.current_time() >= acts_s:
                return None
            if trio.current_time() >= socket.heard_s + self._plan.stream_patience_s:
                self._has_lost_stream = True
                return None

    async def _leave(self) -> ObservedAnswer:
        while True:
            answer = await self._requests.ask(RequestKind.LEAVE)
            if not answer.outcome.is_fault:
                return answer
            await trio.sleep(self._requests.retry_s)

    def _may_act(self) -> bool:
        """Whether a silence would end, or cost the place, before the visitor is admitted.

        Otherwise an absent visitor would hold a session that others could use.
        """
        behaviour = self._visit_plan.behaviour
        if behaviour is Behaviour.LEAVES:
            return True
        silence_s = self._visit_plan.silence_s
        if behaviour is Behaviour.VANISHES:
            silence_s = self._plan.facts.heartbeat_timeout_seconds + MARGIN_S
        return self._plan.is_far_back(self._position, silence_s)

    async def _check_status_after_the_timeout(self) -> ObservedAnswer:
        await trio.sleep(self._plan.facts.heartbeat_timeout_seconds + MARGIN_S + _TO_BE_SURE_S)
        while True:
            answer = await self._requests.ask(RequestKind.STATUS)
            if not answer.outcome.is_fault:
                return answer
            await trio.sleep(self._requests.retry_s)
