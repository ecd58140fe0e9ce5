"""What contract tests do again and again: look at tokens, let people in, and see that nothing changed."""

import base64
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import jwt
import msgspec
import orjson

from tests.support.clock import HandClock
from tests.support.site import BASE, Site, error_code
from wr.model.ids import new_position_id
from wr.model.signing import KeyRing, SigningKey
from wr.model.tokens import PositionClaims, SessionClaims, sign_position, sign_session
from wr.store.key_names import KeyNames

MINUTE_MS = 60_000
DAY_MS = 86_400_000
LIMIT_HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def assert_refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that the answer is this error in the contract's envelope; returns its details."""
    assert response.status_code == status, response.text
    assert error_code(response) == code
    facts = response.json()["error"]
    assert isinstance(facts["message"], str)
    assert facts["message"]
    assert "Traceback" not in response.text
    return dict(facts.get("details", {}))


def seconds_of(text: str) -> int:
    """Read a time of the contract: whole seconds, UTC."""
    assert _TIME.fullmatch(text), text
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC).timestamp())


def claims_of(token: str) -> dict[str, Any]:
    """Read what a token says, believing it."""
    return dict(jwt.decode(token, options={"verify_signature": False}))


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def tampered(token: str, **changes: Any) -> str:
    """Change what a token says and keep its signature."""
    header, _, signature = token.split(".")
    return f"{header}.{b64(orjson.dumps({**claims_of(token), **changes}))}.{signature}"


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


@dataclass(frozen=True)
class Visit:
    """Somebody who has been let in."""

    queue_id: str
    position_id: str
    token: str
    session_id: str
    session_token: str
    admitted: dict[str, Any]


def enter(site: Site, queue_id: str, body: Any = None) -> Visit:
    """Join a queue and wait to be let in."""
    joined = site.join(queue_id, body).json()
    admitted = site.admitted(queue_id, joined["token"])
    return Visit(
        queue_id=queue_id,
        position_id=joined["position_id"],
        token=joined["token"],
        session_id=claims_of(admitted["session_token"])["sub"],
        session_token=admitted["session_token"],
        admitted=admitted,
    )


def open_queue(site: Site, **settings: Any) -> str:
    """Make a queue that lets everyone in at once."""
    return site.make_queue(**{"admission_rate": 1000, **settings})


def waiting(site: Site, queue_id: str, body: Any = None) -> str:
    """Join a queue; returns the token."""
    response = site.join(queue_id, body)
    assert response.status_code == 201, response.text
    return str(response.json()["token"])


def use_tokens(site: Site, queue_id: str, tokens: Iterable[str]) -> None:
    """Ask with each token once: places whose tokens are never used are dropped early."""
    for token in tokens:
        assert site.status(queue_id, token).status_code == 200


def session_call(site: Site, visit: Visit, token: str | None = None) -> httpx.Response:
    return site.call("GET", f"/sessions/{visit.session_id}", token or visit.session_token)


def activity_call(
    site: Site, visit: Visit, body: Any = None, token: str | None = None, **more: Any
) -> httpx.Response:
    return site.call(
        "POST", f"/sessions/{visit.session_id}/activity", token or visit.session_token, body, **more
    )


def terminate(site: Site, session_id: str, body: Any = None) -> httpx.Response:
    return site.admin("DELETE", f"/sessions/{session_id}", body)


def stats_of(site: Site, queue_id: str) -> dict[str, Any]:
    response = site.admin("GET", f"/queues/{queue_id}/stats")
    assert response.status_code == 200, response.text
    return dict(response.json())


def picture(site: Site, queue_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Take a queue's settings and figures, to see later that nothing changed."""
    return dict(site.admin("GET", f"/queues/{queue_id}").json()), stats_of(site, queue_id)


def gone_for_silence(site: Site, queue_id: str, token: str) -> httpx.Response:
    """Be silent for longer than the queue's default timeout; returns the answer that says so."""
    site.clock.advance(61)
    return site.wait_for(lambda: site.status(queue_id, token), lambda r: r.status_code != 200)


def let_passes_run(site: Site) -> None:
    """Wait until two whole admission passes are over, so that what they had to do is done."""
    queue_id = open_queue(site)
    for _ in range(2):
        enter(site, queue_id)


def fresh_minute(clock: HandClock) -> None:
    """Go to the beginning of a minute, so that a test's requests fall into one window."""
    clock.advance((MINUTE_MS - clock() % MINUTE_MS) / 1000 + 0.01)


def fresh_day(clock: HandClock) -> None:
    """Go to the beginning of a UTC day, so that all that a test does happens on one day."""
    clock.advance((DAY_MS - clock() % DAY_MS) / 1000 + 0.01)


def key_ring(site: Site) -> KeyRing:
    """Read the real signing keys from the store."""
    with site.engine.client() as client:
        values: Any = client.hvals(KeyNames(site.prefix).shared("signing_keys"))
    return KeyRing(msgspec.json.decode(value, type=SigningKey) for value in values)


def position_token(site: Site, queue_id: str, position_id: bytes | None = None, lasts_s: int = 1800) -> str:
    """Sign a position token with the real key; of nobody in line unless `position_id` is given."""
    now_ms = site.clock()
    claims = PositionClaims(
        position_id=position_id or new_position_id(secrets.token_bytes),
        queue_id=queue_id,
        priority=0,
        enqueued_ms=now_ms,
        issued_s=now_ms // 1000 - 3600,
        expires_s=now_ms // 1000 + lasts_s,
    )
    return sign_position(claims, key_ring(site), now_ms)


def session_token(site: Site, queue_id: str, position_id: bytes | None = None, lasts_s: int = 1800) -> str:
    """Sign a session token with the real key; of nobody who was let in unless `position_id` is given."""
    now_ms = site.clock()
    claims = SessionClaims(
        position_id=position_id or new_position_id(secrets.token_bytes),
        queue_id=queue_id,
        admitted_ms=now_ms - 3_600_000,
        expires_s=now_ms // 1000 + lasts_s,
    )
    return sign_session(claims, key_ring(site), now_ms)


def assert_limit_headers(response: httpx.Response, limit: int) -> int:
    """Check the three headers of a limited scope; returns how many requests remain."""
    given = [response.headers.get(name) for name in LIMIT_HEADERS]
    assert all(value is not None and value.isdigit() for value in given), (response.status_code, given)
    count, remaining, reset = (int(value) for value in given if value is not None)
    assert count == limit
    assert 0 <= remaining <= limit
    assert reset % 60 == 0
    return remaining


def wait_until(condition: Any, seconds: float = 10.0) -> None:
    """Look again and again until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def enqueue_path(queue_id: str) -> str:
    return f"{BASE}/queues/{queue_id}/enqueue"
