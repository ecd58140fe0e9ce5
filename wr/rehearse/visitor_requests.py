"""One visitor's requests, and the record of what was answered."""

import base64
import math
import secrets
from typing import Any
from urllib.parse import quote

import msgspec
import trio

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
"""Of a long row of heartbeats answered «waiting», one is kept this often."""
_RETRY_S = 1.0
_IN_LINE = {"waiting": Outcome.WAITING, "admitted": Outcome.ADMITTED}
_SUCCESSES = {
    RequestKind.JOIN: _IN_LINE,
    RequestKind.HEARTBEAT: _IN_LINE,
    RequestKind.STATUS: _IN_LINE,
    RequestKind.LEAVE: {"cancelled": Outcome.LEFT},
    RequestKind.SESSION: {"active": Outcome.ACTIVE},
    RequestKind.ACTIVITY: {"active": Outcome.ACTIVE},
}
_STREAM_OUTCOMES = {
    "position_update": Outcome.WAITING,
    "admitted": Outcome.ADMITTED,
    "expired": Outcome.EXPIRED,
}
_REFUSALS = {404: Outcome.UNKNOWN, 410: Outcome.EXPIRED}
_NOBODY_NEW = ("QUEUE_FULL", "MAINTENANCE_MODE")


class _Problem(msgspec.Struct, frozen=True):
    code: str
    details: dict[str, Any] = {}


class _Told(msgspec.Struct, frozen=True):
    """What any answer of the API may say; the rest is not looked at."""

    status: str = ""
    position_id: str = ""
    position: int = 0
    priority: int | None = None
    estimated_wait_seconds: int = 0
    token: str = ""
    session_token: str = ""
    heartbeat_interval_seconds: int = 0
    next_heartbeat_seconds: int = 0
    error: _Problem | None = None


class _StreamData(msgspec.Struct, frozen=True):
    """What any message of a stream may say; the rest is not looked at."""

    position: int = 0
    estimated_wait_seconds: int = 0
    session_token: str = ""
    token: str = ""
    reason: str = ""


class _Said(msgspec.Struct, frozen=True):
    type: str
    data: _StreamData


class _Claims(msgspec.Struct, frozen=True):
    sub: str
    position_id: str
    queue_id: str
    admitted_ms: int
    exp: int


_TOLD = msgspec.json.Decoder(_Told)
_CLAIMS = msgspec.json.Decoder(_Claims)
_ENCODER = msgspec.json.Encoder()


class VisitorRequests:
    """What one visitor and the server say to each other, from the join to the end."""

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
        # The same for every try of the join, so that one whose answer was lost leaves no place behind.
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
        """What the server last said about how often to beat."""
        self.retry_s = _RETRY_S
        """How long to wait before trying again after a fault."""

    async def ask(self, asked: RequestKind) -> ObservedAnswer:
        """Ask once, and note what came of it; whatever that is, it is an answer and not an exception."""
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
        """Open a live stream and hear its first word; no stream when there is none to be had."""
        path = b"/ws/queues/" + quote(self._plan.facts.id, safe="").encode()
        self._opened_s = sent_s = self._client.now_s
        try:
            socket = await self._client.open_websocket(path, self._authorized)
        except (Refused, OSError) as error:
            status = error.status if isinstance(error, Refused) else 0
            outcome = _REFUSALS.get(status, Outcome.FAILED if status >= 500 else Outcome.REFUSED)
            if not status:
                outcome = Outcome.UNANSWERED
            self.retry_s = _RETRY_S
            failure = ObservedAnswer(
                RequestKind.STREAM, outcome, sent_s, self._client.now_s, status=status, reason=str(error)
            )
            return self._note(failure), None
        messages = []
        with trio.move_on_after(self._plan.stream_patience_s):
            messages = await socket.messages()
        if not messages:
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
        answer = self._heard(messages[0], sent_s)
        for message in messages[1:]:
            answer = self.heard(message) or answer
        return answer, socket

    def heard(self, message: Any) -> ObservedAnswer | None:
        """Note what the server said on the stream; being told is as good as having beaten.

        None for what says nothing of the place: a fresh token, which is kept.
        """
        if isinstance(message, dict) and message.get("type") == "token":
            self._take_token(msgspec.convert(message, _Said).data.token)
            return None
        return self._heard(message, self._client.now_s, told_since_s=self._opened_s)

    def lost_stream(self, heard_s: float) -> None:
        """Note that the stream ended, or brought nothing for too long; it was last heard at `heard_s`."""
        self._client.give_up_on_server()
        self._note(ObservedAnswer(RequestKind.STREAM, Outcome.CLOSED, heard_s, self._client.now_s))

    def hung_up(self) -> None:
        """Note that the stream is closed from this moment on, and nobody is there."""
        self._confirmed_s = self._client.now_s

    def _heard(self, message: Any, sent_s: float, told_since_s: float | None = None) -> ObservedAnswer:
        now_s = self._client.now_s
        silent_s = max(0.0, sent_s - self._confirmed_s)
        outcome, entry, told, reason = Outcome.FAILED, None, _StreamData(), ""
        try:
            said = msgspec.convert(message, _Said)
            told = said.data
            outcome = _STREAM_OUTCOMES[said.type]
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
        """When the first request left."""
        return self._answers[0].sent_s

    def visit(self) -> ObservedVisit:
        """Tell the whole visit so far."""
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
            told = _TOLD.decode(response.body)
            outcome, reason = _outcome(asked, status, told)
            if asked is RequestKind.JOIN and told.priority is not None:
                self._priority = told.priority
            entry = None
            if outcome is Outcome.ADMITTED:
                if told.token:
                    # Let in before the join was answered: the place's token is needed to leave.
                    self._take_place(told)
                entry = self._take_session(told.session_token)
            elif outcome is Outcome.WAITING:
                self._take_place(told)
        except (msgspec.DecodeError, ValueError) as error:
            told, outcome, reason, entry = (
                _Told(),
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

    def _take_place(self, told: _Told) -> None:
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


def read_claims(token: str) -> ObservedEntry:
    """Read what a session token says, without verifying it.

    Raises:
        ValueError: it is not a token that says what a session token must.
    """
    parts = token.split(".")
    if len(parts) != 3:
        raise ValueError("the session token is not a JWT")
    claims = _CLAIMS.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    return ObservedEntry(claims.sub, claims.position_id, claims.queue_id, claims.admitted_ms, claims.exp)


def _outcome(asked: RequestKind, status: int, told: _Told) -> tuple[Outcome, str]:
    problem = told.error
    code = problem.code if problem else ""
    if status in (200, 201):
        outcome = _SUCCESSES[asked].get(told.status)
        return (outcome, "") if outcome else (Outcome.FAILED, f"unexpected: {told.status}")
    if status == 410:
        return Outcome.EXPIRED, str(problem.details.get("reason", "")) if problem else ""
    if status == 404:
        return Outcome.UNKNOWN, code
    if status == 503 and asked is RequestKind.JOIN and code in _NOBODY_NEW:
        return Outcome.TURNED_AWAY, code
    return Outcome.FAILED if status >= 500 else Outcome.REFUSED, code


def _is_sign_of_life_while_waiting(answer: ObservedAnswer) -> bool:
    return answer.asked in (RequestKind.HEARTBEAT, RequestKind.STREAM) and answer.outcome is Outcome.WAITING
