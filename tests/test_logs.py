"""Logs say what went wrong, and never whose token it went wrong with."""

import json
from collections.abc import Iterator

import pytest
import structlog

from wr.logs import set_up_logs

SECRET = "eyJhbGciOiJIUzI1NiJ9.visitor"


@pytest.fixture(autouse=True)
def own_configuration() -> Iterator[None]:
    """Log by the format under test, and afterwards as before."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def fail_with(token: str) -> None:
    assert token
    raise RuntimeError("something broke")


def log_a_failure() -> None:
    authorization = f"Bearer {SECRET}"
    try:
        fail_with(authorization)
    except RuntimeError:
        structlog.get_logger().exception("a request failed", request_id="req-1")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_traceback_in_the_log_names_the_place_and_shows_no_value_of_a_variable(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs(log_format)
    log_a_failure()
    logged = capsys.readouterr().err
    assert SECRET not in logged
    for expected in ("a request failed", "req-1", "something broke", "fail_with", "test_logs.py"):
        assert expected in logged


def test_a_json_log_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("json")
    structlog.get_logger().info("first", count=1)
    log_a_failure()
    first, failure = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["event"], first["level"], first["count"]) == ("first", "info", 1)
    assert (failure["event"], failure["level"]) == ("a request failed", "error")
    assert failure["exception"][0]["exc_value"] == "something broke"
