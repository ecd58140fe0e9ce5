"""What the API's contract lets a server answer to each call: the rest is a fault. Pure."""

import base64
import json
from dataclasses import dataclass
from typing import Any

_FAULT_PAUSE_S = 1.0
"""How long a visitor waits after a fault: a server that is gone is not to be asked a million times."""

_STATUS_OF = {
    "POSITION_EXPIRED": 410,
    "SESSION_EXPIRED": 410,
    "RATE_LIMITED": 429,
    "QUEUE_FULL": 503,
    "MAINTENANCE_MODE": 503,
}


@dataclass(frozen=True)
class Call:
    """One call of the API, and what the contract has a server answer to it."""

    method: str
    name: str
    """What the report calls it: the path, with nothing in it that differs from visitor to visitor."""
    successes: tuple[int, ...]
    says: tuple[str, ...]
    """What `status` of the answer may say."""
    refusals: tuple[str, ...]
    """Error codes that are a proper answer: the server works, but not for this visitor, or not just now."""


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
    """What came of one call."""

    status: int
    """The HTTP status; 0 when there was no answer."""
    body: dict[str, Any]
    refusal: str = ""
    """The error code, where the contract has it; the server is well and says no."""
    fault: str = ""
    """What is wrong with the answer; empty when it is one that the contract has."""
    pause_s: float = 0.0
    """How long to wait before asking anything again."""

    @property
    def is_admitted(self) -> bool:
        """Whether the visitor is let in."""
        return self.body.get("status") == "admitted"

    @property
    def is_lost(self) -> bool:
        """Whether the place, or the session, is gone: there is nothing left to ask for."""
        return self.status in (401, 404, 410)


def understood(call: Call, status: int, content: bytes, retry_after: str) -> Answer:
    """Judge an answer by the contract."""
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
    """Put into words that there was no answer."""
    return _faulty(0, {}, f"no answer: {why}")


def claims_of(session_token: str) -> dict[str, Any]:
    """Read what a session token says, without verifying it.

    Raises:
        ValueError: it is not a token.
    """
    payload = session_token.split(".")[1:2]
    claims = json.loads(base64.urlsafe_b64decode("".join(payload) + "=="))
    if not isinstance(claims, dict):
        raise ValueError("the session token's claims are no object")  # noqa: TRY004 - what was read is at fault
    return claims


def _missing(call: Call, body: dict[str, Any]) -> str:
    """Name the token that the answer should bring and does not."""
    if call is ENQUEUE:
        return "" if body.get("token") else "token"
    if body.get("status") == "admitted":
        return "" if body.get("session_token") else "session_token"
    return ""


def _faulty(status: int, body: dict[str, Any], fault: str, pause_s: float = 0.0) -> Answer:
    return Answer(status, body, fault=fault, pause_s=pause_s or _FAULT_PAUSE_S)
