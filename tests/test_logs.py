"""Logs say what went wrong, and never whose token it went wrong with."""

import contextvars
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from wr.api.request_id import name_request
from wr.server.logs import set_up_logs, without_secrets

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


@pytest.mark.parametrize(
    ("level", "kept"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_the_log_has_what_is_of_its_level_and_above(
    level: str, kept: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs("json", level)
    for each in ("debug", "info", "warning", "error"):
        getattr(structlog.get_logger(), each)("something")
    assert [json.loads(line)["level"] for line in capsys.readouterr().err.splitlines()] == kept


def test_a_json_log_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("json")
    structlog.get_logger().info("first", count=1)
    log_a_failure()
    first, failure = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["event"], first["level"], first["count"]) == ("first", "info", 1)
    assert (failure["event"], failure["level"]) == ("a request failed", "error")
    assert failure["exception"][0]["exc_value"] == "something broke"


TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl-_x"
KEY = "Zx81_admin-key-of-ours"


@pytest.mark.parametrize(
    "value",
    [
        "caf\u00e9 \u2028 \U0001f600",
        "half a pair: \ud83d",
        2**70,
        {1: "a key that is no text"},
        [float("inf")],
    ],
    ids=["not ASCII", "no valid Unicode", "over 64 bits", "a number as a key", "infinity"],
)
def test_a_json_log_is_ascii_whatever_is_in_it(value: Any, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("json")
    structlog.get_logger().info("seen", value=value)
    line = capsys.readouterr().err
    assert line.isascii()
    assert line.count("\n") == 1
    # JSON has only text as keys, and no infinity.
    expected = {"1": "a key that is no text"} if isinstance(value, dict) else value
    assert json.loads(line)["value"] == ([None] if isinstance(value, list) else expected)


FORMATS = pytest.mark.parametrize("log_format", ["text", "json"])


def break_with(text: str) -> None:
    raise RuntimeError(text)


def lines(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


@FORMATS
@pytest.mark.parametrize(
    "name",
    [
        *("token", "access_token", "session_token", "metrics_token", "session-token", "authorization"),
        *("Authorization", "x-admin-key", "X-Admin-Key", "admin_key", "api_key", "apikey", "password"),
        *("store_password", "secret", "client_secret", "cookie", "set-cookie", "private_key"),
    ],
)
def test_a_value_under_the_name_of_a_secret_is_not_logged(
    log_format: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs(log_format)
    structlog.get_logger().info("seen", **{name: KEY}, nested={"deeper": [{name: KEY}]}, kept="in sight")
    logged = lines(capsys)
    assert KEY not in logged
    assert logged.count("[redacted]") == 2
    assert "in sight" in logged


@FORMATS
@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {KEY}",
        f"bearer {KEY}",
        f"{{'authorization': 'Bearer {TOKEN}'}}",
        f"Basic {KEY}",
        f"sec-websocket-protocol: bearer, {TOKEN}",
        f"GET /ws/queues/q?access_token={KEY}&a=b",
        f"redis://wr:{KEY}@store:6379/0",
        f"rediss://:{KEY}@store:6379",
        f"X-Admin-Key: {KEY}",
        f"b'x-admin-key': b'{KEY}'",
        f'{{"admin_key": "{KEY}"}}',
        f"metrics_token={KEY}",
        f"password = {KEY}",
        f"the token {TOKEN} is of another queue",
        f"('token',{TOKEN!r})",
    ],
)
def test_a_secret_in_a_text_is_taken_out_wherever_the_text_stands(
    log_format: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs(log_format)
    log = structlog.get_logger()
    log.info(text)
    log.info("seen", error=text, more=[text, {"deep": (text,)}], raised=ValueError(text))
    try:
        break_with(text)
    except RuntimeError:
        log.exception("broke")
    logged = lines(capsys)
    assert KEY not in logged
    assert TOKEN not in logged
    assert TOKEN.split(".")[2] not in logged
    assert logged.count("[redacted]") >= 6


@pytest.mark.parametrize(
    "text",
    [
        "the store does not answer: Error 111 connecting to 127.0.0.1:6379. Connection refused.",
        "Send the token as Authorization: Bearer <token>",
        "http://127.0.0.1:8080/api/v1/openapi.json",
        "listening on http://[::1]:8080",
        "signing keys could not be refreshed",
        "position_token_lifetime 1800",
    ],
)
def test_what_is_no_secret_is_logged_as_it_is(text: str) -> None:
    assert without_secrets(text) == text


@FORMATS
def test_each_line_about_a_request_bears_its_id_and_other_lines_bear_none(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs(log_format)

    def answer(request_id: str) -> None:
        name_request(request_id)
        structlog.get_logger().info("deep in a request")

    for request_id in ("req-1", "req-2"):
        contextvars.Context().run(answer, request_id)
    contextvars.Context().run(structlog.get_logger().info, "of no request")
    first, second, last = lines(capsys).splitlines()
    assert "req-1" in first
    assert "req-2" in second
    assert "request_id" not in last


def test_an_exception_in_a_json_log_is_data_without_the_values_of_variables(
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_up_logs("json")
    log_a_failure()
    failure: dict[str, Any] = json.loads(lines(capsys))
    frames = failure["exception"][0]["frames"]
    assert [frame["name"] for frame in frames] == ["log_a_failure", "fail_with"]
    assert all(not frame.get("locals") for frame in frames)


def test_to_look_for_secrets_takes_no_time_that_a_client_could_make_long() -> None:
    began = time.process_time()
    for piece in ("a", "eyJ", "token", "://", "bearer ", "token=", "://a:"):
        without_secrets(piece * (200_000 // len(piece)))
    assert time.process_time() - began < 2.0
