"""Reads answers of the API and messages of live streams for the rehearsal, and decides their outcome. Pure.

Written against the contract alone: it does not use the server's own message types, so that a mistake in those
cannot hide here.
"""

import base64
from typing import Any

import msgspec

from wr.rehearse.observations import ObservedEntry, Outcome, RequestKind

_IN_LINE = {"waiting": Outcome.WAITING, "admitted": Outcome.ADMITTED}
_SUCCESSES = {
    RequestKind.JOIN: _IN_LINE,
    RequestKind.HEARTBEAT: _IN_LINE,
    RequestKind.STATUS: _IN_LINE,
    RequestKind.LEAVE: {"cancelled": Outcome.LEFT},
    RequestKind.SESSION: {"active": Outcome.ACTIVE},
    RequestKind.ACTIVITY: {"active": Outcome.ACTIVE},
}
STREAM_OUTCOMES = {
    "position_update": Outcome.WAITING,
    "admitted": Outcome.ADMITTED,
    "expired": Outcome.EXPIRED,
}
REFUSALS = {404: Outcome.UNKNOWN, 410: Outcome.EXPIRED}
_JOIN_REFUSALS = ("QUEUE_FULL", "MAINTENANCE_MODE")


class _Problem(msgspec.Struct, frozen=True):
    code: str
    details: dict[str, Any] = {}


class ApiAnswer(msgspec.Struct, frozen=True):
    """The fields of API answers that the rehearsal reads; others are ignored."""

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


class StreamData(msgspec.Struct, frozen=True):
    """The data fields of stream messages that the rehearsal reads; others are ignored."""

    position: int = 0
    estimated_wait_seconds: int = 0
    session_token: str = ""
    token: str = ""
    reason: str = ""


class StreamMessage(msgspec.Struct, frozen=True):
    """One message of a live stream."""

    type: str
    data: StreamData


class _Claims(msgspec.Struct, frozen=True):
    sub: str
    position_id: str
    queue_id: str
    admitted_ms: int
    exp: int


ANSWER_DECODER = msgspec.json.Decoder(ApiAnswer)
_CLAIMS = msgspec.json.Decoder(_Claims)


def read_claims(token: str) -> ObservedEntry:
    """Read the claims of a session token, without verifying it.

    Raises:
        ValueError: it is not a JWT, or a claim of a session token is missing.
    """
    parts = token.split(".")
    if len(parts) != 3:
        raise ValueError("the session token is not a JWT")
    claims = _CLAIMS.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    return ObservedEntry(claims.sub, claims.position_id, claims.queue_id, claims.admitted_ms, claims.exp)


def outcome_of(asked: RequestKind, status: int, told: ApiAnswer) -> tuple[Outcome, str]:
    """Return the outcome of a request, and the reason that the server gave, if any."""
    problem = told.error
    code = problem.code if problem else ""
    if status in (200, 201):
        outcome = _SUCCESSES[asked].get(told.status)
        return (outcome, "") if outcome else (Outcome.FAILED, f"unexpected: {told.status}")
    if status == 410:
        return Outcome.EXPIRED, str(problem.details.get("reason", "")) if problem else ""
    if status == 404:
        return Outcome.UNKNOWN, code
    if status == 503 and asked is RequestKind.JOIN and code in _JOIN_REFUSALS:
        return Outcome.TURNED_AWAY, code
    return Outcome.FAILED if status >= 500 else Outcome.REFUSED, code
