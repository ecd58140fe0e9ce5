"""What a load test takes for a proper answer, and what for a failure."""

import base64
import json
from typing import Any

import pytest

from bench.scenarios.contract import ENQUEUE, HEARTBEAT, LEAVE, SESSION, STATUS, Call, claims_of, understood


def refusal(code: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": "no", "details": {}}, "request_id": "req-1"}


def answered(call: Call, status: int, body: Any, retry_after: str = "") -> Any:
    return understood(call, status, json.dumps(body).encode(), retry_after)


@pytest.mark.parametrize(
    ("call", "status", "code"),
    [
        (ENQUEUE, 503, "QUEUE_FULL"),
        (ENQUEUE, 503, "MAINTENANCE_MODE"),
        (ENQUEUE, 429, "RATE_LIMITED"),
        (STATUS, 429, "RATE_LIMITED"),
        (HEARTBEAT, 410, "POSITION_EXPIRED"),
        (SESSION, 410, "SESSION_EXPIRED"),
    ],
)
def test_a_refusal_that_the_contract_has_is_no_failure(call: Call, status: int, code: str) -> None:
    answer = answered(call, status, refusal(code))
    assert (answer.refusal, answer.fault) == (code, "")


@pytest.mark.parametrize(
    ("call", "status", "code"),
    [
        (ENQUEUE, 503, "SERVICE_UNAVAILABLE"),
        (ENQUEUE, 404, "NOT_FOUND"),
        (ENQUEUE, 500, "QUEUE_FULL"),
        (STATUS, 503, "QUEUE_FULL"),
        (STATUS, 401, "UNAUTHORIZED"),
        (LEAVE, 500, "INTERNAL_ERROR"),
    ],
)
def test_any_other_refusal_is_a_failure_that_names_status_and_code(
    call: Call, status: int, code: str
) -> None:
    answer = answered(call, status, refusal(code))
    assert answer.refusal == ""
    assert answer.fault == f"{status} {code}: no"


@pytest.mark.parametrize(
    ("call", "body", "fault"),
    [
        (ENQUEUE, {"status": "waiting"}, "200 without token"),
        (STATUS, {"status": "admitted"}, "200 without session_token"),
        (STATUS, {"status": "cancelled"}, "200 with the status 'cancelled', not waiting or admitted"),
        (LEAVE, {}, "200 with the status None, not cancelled"),
        (STATUS, ["waiting"], "200 without a JSON object: b'[\"waiting\"]'"),
    ],
)
def test_a_success_that_does_not_say_what_it_must_is_a_failure(call: Call, body: Any, fault: str) -> None:
    assert answered(call, 200, body).fault == fault


def test_an_answer_that_is_not_json_is_a_failure() -> None:
    assert understood(STATUS, 502, b"<h1>Bad gateway</h1>", "").fault.startswith("502 without a JSON object")


def test_a_visitor_waits_as_long_as_the_server_asks_for() -> None:
    assert answered(ENQUEUE, 503, refusal("QUEUE_FULL"), retry_after="7").pause_s == 7


def test_a_visitor_does_not_hurry_after_a_failure() -> None:
    assert answered(STATUS, 500, refusal("INTERNAL_ERROR")).pause_s == 1


def test_the_claims_of_a_session_token_are_read_without_its_key() -> None:
    payload = base64.urlsafe_b64encode(b'{"admitted_ms":12,"sub":"s"}').rstrip(b"=").decode()
    assert claims_of(f"e30.{payload}.signature") == {"admitted_ms": 12, "sub": "s"}


@pytest.mark.parametrize("token", ["", "no token", "a.W10.c"])
def test_what_is_no_token_has_no_claims(token: str) -> None:
    with pytest.raises(ValueError):
        claims_of(token)
