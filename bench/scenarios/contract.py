"""Checks each answer of a server against the API's contract; an answer outside of it is a fault. Pure."""

import base64
import json
from dataclasses import dataclass
from typing import Any

_FAULT_PAUSE_S = 1.0
"""Seconds that a visitor waits after a fault, so that a stopped server does not get a million requests."""

_STATUS_OF = {
    "POSITION_EXPIRED": 410,
    "SESSION_EXPIRED": 410,
    "RATE_LIMITED": 429,
    "QUEUE_FULL": 503,
    "MAINTENANCE_MODE": 503,
}


@dataclass(frozen=True)
class Call:
    """One call of the API, and the answers that the contract allows."""

    method: str
    name: str
    """Its name in the report: the path, without parts that differ between visitors."""
    successes: tuple[int, ...]
    says: tuple[str, ...]
    """Allowed values of `status` in the answer."""
    refusals: tuple[str, ...]
    """Error codes that are a correct answer: the server works, but refuses this visitor, or refuses now."""


ENQUEUE = Call(
    "POST",
    "/enqueue",
    (200, 201),
    ("waiting", "admitted"),
    ("RATE_LIMITED", "QUEUE_FULL", "MAINTENANCE_MODE"),
)
STATUS = Call("GET", "/status", (200,), ("waiting", "admitted"), ("RATE_LIMITED", "POSITION_EXPIRED"))
HEARTBEAT = Call("POST", "/heartbeat", (200,), ("waiting", "admitted"), ("RATE_LIMITED", "POSITION_EXPIRED"))
LEAVE = Call("DELETE", "/position", (200,), ("cancelled",), ("RATE_LIMITED", "POSITION_EXPIRED"))
SESSION = Call("GET", "/sessions/:id", (200,), ("active",), ("RATE_LIMITED", "SESSION_EXPIRED"))
ACTIVITY = Call("POST", "/sessions/:id/activity", (200,), ("active",), ("RATE_LIMITED", "SESSION_EXPIRED"))
STREAM = Call("WS", "open", (101,), (), ("RATE_LIMITED", "POSITION_EXPIRED"))


@dataclass(frozen=True)
class Answer:
    """The result of one call."""

    status: int
    """The HTTP status; 0 if there was no answer."""
    body: dict[str, Any]
    refusal: str = ""
    """The error code, if the contract allows it: the server works and refuses."""
    fault: str = ""
    """What is wrong with the answer; empty if the contract allows it."""
    pause_s: float = 0.0
    """Seconds to wait before the next request."""

    @property
    def is_admitted(self) -> bool:
        """Whether the visitor is admitted."""
        return self.body.get("status") == "admitted"

    @property
    def is_lost(self) -> bool:
        """Whether the place or session has ended, so that the visitor has nothing left to ask for."""
        return self.status in (401, 404, 410)


def understood(call: Call, status: int, content: bytes, retry_after: str) -> Answer:
    """Check an answer against the contract."""
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return _faulty(status, {}, f"{status} without a JSON object: {content[:80]!r}")
    if status in call.successes:
        said = body.get("status")
        if said not in call.says:
            return _faulty(status, body, f"{status} with the status {said!r}, not {' or '.join(call.says)}")
        wanted = _missing(call, body)
        return _faulty(status, body, f"{status} without {wanted}") if wanted else Answer(status, body)
    error = body.get("error")
    error = error if isinstance(error, dict) else {}
    code = str(error.get("code", ""))
    pause_s = float(retry_after) if retry_after.isdigit() else 0.0
    if code in call.refusals and status == _STATUS_OF[code]:
        return Answer(status, body, refusal=code, pause_s=pause_s)
    message = f"{status} {code or 'without an error code'}: {error.get('message', '')}"
    return _faulty(status, body, message, pause_s)


def unanswered(why: object) -> Answer:
    """Describe a missing answer."""
    return _faulty(0, {}, f"no answer: {why}")


def claims_of(session_token: str) -> dict[str, Any]:
    """Read the claims of a session token, without verifying it.

    Raises:
        ValueError: it is not a token.
    """
    payload = session_token.split(".")[1:2]
    claims = json.loads(base64.urlsafe_b64decode("".join(payload) + "=="))
    if not isinstance(claims, dict):
        raise ValueError("the session token's claims are not an object")  # noqa: TRY004 - the data are wrong, not a type
    return claims


def _missing(call: Call, body: dict[str, Any]) -> str:
    """Name the token that is missing in the answer."""
    if call is ENQUEUE:
        return "" if body.get("token") else "token"
    if body.get("status") == "admitted":
        return "" if body.get("session_token") else "session_token"
    return ""


def _faulty(status: int, body: dict[str, Any], fault: str, pause_s: float = 0.0) -> Answer:
    return Answer(status, body, fault=fault, pause_s=pause_s or _FAULT_PAUSE_S)
