"""Sends one visitor's requests and records the answers."""

import math
import secrets
from typing import Any
from urllib.parse import quote

import msgspec
import trio

from wr.rehearse.api_answers import (
    ANSWER_DECODER,
    REFUSALS,
    STREAM_OUTCOMES,
    ApiAnswer,
    StreamData,
    StreamMessage,
    outcome_of,
    read_claims,
)
from wr.rehearse.client import Request, Response, Unanswered, VisitorClient
from wr.rehearse.live_counts import LiveCounts
from wr.rehearse.observations import (
    SIGNS_OF_LIFE,
    ObservedAnswer,
    ObservedEntry,
    ObservedVisit,
    Outcome,
    RequestKind,
)
from wr.rehearse.plan import Plan, VisitPlan
from wr.rehearse.websocket import Headers, Refused, WebSocket

_KEPT_EVERY_S = 15.0
"""Of many heartbeats in a row that were answered «waiting», one is kept per this many seconds."""
_RETRY_S = 1.0
_ENCODER = msgspec.json.Encoder()


class VisitorRequests:
    """All requests and answers of one visitor, from the join to the end."""

    def __init__(
        self,
        client: VisitorClient,
        plan: Plan,
        visit_plan: VisitPlan,
        counts: LiveCounts,
        *,
        keeps_token: bool,
    ) -> None:
        self._client = client
        self._plan = plan
        self._visit_plan = visit_plan
        self._counts = counts
        self._keeps_token = keeps_token
        self._queue = f"/api/v1/queues/{quote(plan.facts.id, safe='')}/".encode()
        self._headers: Headers = (
            (b"X-Forwarded-For", visit_plan.address.encode()),
            (b"User-Agent", b"wr-rehearsal"),
        )
        # The same key for every try of the join: a try whose answer was lost then leaves no second place.
        self._join_headers: Headers = (*self._headers, (b"Idempotency-Key", secrets.token_hex(16).encode()))
        self._authorized: Headers = self._headers
        self._token = ""
        self._session_token = ""
        self._requests: dict[RequestKind, Request] = {}
        self._session = b""
        self._session_headers: Headers = ()
        self._position_id = ""
        self._priority = visit_plan.priority
        self._answers: list[ObservedAnswer] = []
        self._confirmed_s = math.inf
        self._opened_s = math.nan
        self.interval_s = float(plan.facts.heartbeat_interval_seconds)
        """Seconds between heartbeats, as the server last requested."""
        self.retry_s = _RETRY_S
        """Seconds to wait before another try after a fault."""

    async def ask(self, asked: RequestKind) -> ObservedAnswer:
        """Send one request and record the result. Failures are answers too, never exceptions."""
        request = self._requests.get(asked)
        if request is None:
            self._requests[asked] = request = self._client.make(*self._request(asked))
        try:
            response = await self._client.send(request)
        except Unanswered as error:
            self.retry_s = _RETRY_S
            return self._note(
                ObservedAnswer(
                    asked, Outcome.UNANSWERED, error.sent_s, error.given_up_s, 0.0, reason=str(error)
                )
            )
        self.retry_s = float(response.retry_after) if response.retry_after.isdigit() else _RETRY_S
        return self._note(self._understood(asked, response))

    async def open_stream(self) -> tuple[ObservedAnswer, WebSocket | None]:
        """Open a live stream and read its first messages. The stream is None if it cannot be opened."""
        path = b"/ws/queues/" + quote(self._plan.facts.id, safe="").encode()
        self._opened_s = sent_s = self._client.now_s
        try:
            socket = await self._client.open_websocket(path, self._authorized)
        except (Refused, OSError) as error:
            status = error.status if isinstance(error, Refused) else 0
            outcome = REFUSALS.get(status, Outcome.FAILED if status >= 500 else Outcome.REFUSED)
            if not status:
                outcome = Outcome.UNANSWERED
            self.retry_s = _RETRY_S
            failure = ObservedAnswer(
                RequestKind.STREAM, outcome, sent_s, self._client.now_s, status=status, reason=str(error)
            )
            return self._note(failure), None
        message = None
        with trio.move_on_after(self._plan.stream_patience_s):
            message = await socket.message()
        if message is None:
            await socket.aclose()
            self._client.give_up_on_server()
            return self._note(
                ObservedAnswer(
                    RequestKind.STREAM,
                    Outcome.UNANSWERED,
                    sent_s,
                    self._client.now_s,
                    reason="closed at once",
                )
            ), None
        return self._heard(message, sent_s), socket

    def heard(self, message: dict[str, Any]) -> ObservedAnswer | None:
        """Record a message of the stream; it counts as an answered heartbeat.

        Returns None for a message with a new token, which says nothing about the place.
        """
        if message.get("type") == "token":
            self._take_token(msgspec.convert(message, StreamMessage).data.token)
            return None
        return self._heard(message, self._client.now_s, told_since_s=self._opened_s)

    def lost_stream(self, heard_s: float) -> None:
        """Record that the stream ended or that no data came for too long. The last data came at `heard_s`."""
        self._client.give_up_on_server()
        self._note(ObservedAnswer(RequestKind.STREAM, Outcome.CLOSED, heard_s, self._client.now_s))

    def hung_up(self) -> None:
        """Record that the visitor has closed the stream and is absent from now on."""
        self._confirmed_s = self._client.now_s

    def _heard(
        self, message: dict[str, Any], sent_s: float, told_since_s: float | None = None
    ) -> ObservedAnswer:
        now_s = self._client.now_s
        silent_s = max(0.0, sent_s - self._confirmed_s)
        outcome, entry, told, reason = Outcome.FAILED, None, StreamData(), ""
        try:
            said = msgspec.convert(message, StreamMessage)
            told = said.data
            outcome = STREAM_OUTCOMES[said.type]
            reason = told.reason
            if outcome is Outcome.ADMITTED:
                entry = self._take_session(told.session_token)
        except (ValueError, KeyError) as error:
            reason = f"not the contract's message: {error}"
        return self._note(
            ObservedAnswer(
                RequestKind.STREAM,
                outcome,
                sent_s,
                now_s,
                silent_s,
                reason=reason,
                position=told.position,
                estimated_wait_s=told.estimated_wait_seconds,
                entry=entry,
                told_since_s=told_since_s,
            )
        )

    @property
    def first_sent_s(self) -> float:
        """When the first request was sent."""
        return self._answers[0].sent_s

    def visit(self) -> ObservedVisit:
        """Return the visit so far."""
        return ObservedVisit(
            number=self._visit_plan.number,
            priority=self._priority,
            behaviour=self._visit_plan.behaviour,
            position_id=self._position_id,
            answers=tuple(self._answers),
            session_token=self._session_token if self._keeps_token else "",
        )

    def _request(self, asked: RequestKind) -> tuple[bytes, bytes, Headers, bytes]:
        if asked is RequestKind.HEARTBEAT:
            return b"POST", self._queue + b"heartbeat", self._authorized, b'{"client_id":"rehearsal"}'
        if asked is RequestKind.STATUS:
            return b"GET", self._queue + b"status", self._authorized, b""
        if asked is RequestKind.JOIN:
            visit_plan = self._visit_plan
            wish = {"priority": visit_plan.priority, "metadata": visit_plan.metadata}
            body = _ENCODER.encode({**wish, "pass": visit_plan.used_pass} if visit_plan.used_pass else wish)
            return b"POST", self._queue + b"enqueue", self._join_headers, body
        if asked is RequestKind.LEAVE:
            return b"DELETE", self._queue + b"position", self._authorized, b""
        if asked is RequestKind.ACTIVITY:
            body = b'{"action":"page_view","page":"/checkout"}'
            return b"POST", self._session + b"/activity", self._session_headers, body
        return b"GET", self._session, self._session_headers, b""

    def _understood(self, asked: RequestKind, response: Response) -> ObservedAnswer:
        status = response.status
        try:
            told = ANSWER_DECODER.decode(response.body)
            outcome, reason = outcome_of(asked, status, told)
            if asked is RequestKind.JOIN and told.priority is not None:
                self._priority = told.priority
            entry = None
            if outcome is Outcome.ADMITTED:
                if told.token:
                    # Admitted before the join was answered: the visitor needs the place's token to leave.
                    self._take_place(told)
                entry = self._take_session(told.session_token)
            elif outcome is Outcome.WAITING:
                self._take_place(told)
        except (msgspec.DecodeError, ValueError) as error:
            told, outcome, reason, entry = (
                ApiAnswer(),
                Outcome.FAILED,
                f"not the contract's answer: {error}",
                None,
            )
        return ObservedAnswer(
            asked,
            outcome,
            response.sent_s,
            response.received_s,
            max(0.0, response.sent_s - self._confirmed_s),
            status,
            reason,
            told.position,
            told.estimated_wait_seconds,
            entry,
        )

    def _take_place(self, told: ApiAnswer) -> None:
        self._position_id = self._position_id or told.position_id
        self.interval_s = float(
            told.next_heartbeat_seconds or told.heartbeat_interval_seconds or self.interval_s
        )
        self._take_token(told.token)

    def _take_token(self, token: str) -> None:
        if token and token != self._token:
            self._token = token
            self._authorized = (*self._headers, (b"Authorization", b"Bearer " + token.encode()))
            self._requests.clear()

    def _take_session(self, token: str) -> ObservedEntry:
        claims = read_claims(token)
        self._position_id = self._position_id or claims.position_id
        self._session_token = token
        self._session = b"/api/v1/sessions/" + quote(claims.session_id, safe="").encode()
        self._session_headers = (*self._headers, (b"Authorization", b"Bearer " + token.encode()))
        return claims

    def _note(self, answer: ObservedAnswer) -> ObservedAnswer:
        kept = self._answers
        if answer.asked in SIGNS_OF_LIFE:
            self._confirmed_s = answer.received_s if answer.outcome is Outcome.WAITING else math.inf
        row = (*kept[-2:], answer)
        if (
            len(row) == 3
            and not self._plan.keeps_all_answers
            and all(map(_is_sign_of_life_while_waiting, row))
            and row[1].sent_s - row[0].sent_s < _KEPT_EVERY_S
        ):
            kept.pop()
        kept.append(answer)
        if answer.outcome.is_fault:
            self._counts.errors += 1
        return answer


def _is_sign_of_life_while_waiting(answer: ObservedAnswer) -> bool:
    return answer.asked in (RequestKind.HEARTBEAT, RequestKind.STREAM) and answer.outcome is Outcome.WAITING
