"""What an operator reads when a call to the admin API does not work: one line that says what to do."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import run_wr
from tests.support.engines import free_port
from wr.api.route import Auth
from wr.api.routes import ROUTES
from wr.client.admin_client import (
    ADMIN_KEY_FILE,
    ADMIN_PATH,
    AdminClient,
    AdminFailure,
    AdminKey,
    find_admin_key,
)
from wr.server import start_keys
from wr.server.lifecycle import Ready

KEY = AdminKey("key", "a test")


@contextmanager
def stranger(status: int, body: bytes, **headers: str) -> Iterator[tuple[str, list[str]]]:
    """Something that gives everyone the same answer over HTTP; its URL, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads a log here."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{httpd.server_port}", asked
        finally:
            httpd.shutdown()
            thread.join()


def test_a_server_that_is_not_there_is_reported_with_how_to_start_one(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    result = run_wr("queue", "list", "--url", url, "--data-dir", str(tmp_path))
    assert result.exit_code == 1
    assert result.stderr == (
        f"wr: no server answers at {url} (Connection refused): start one with `wr serve`, "
        "or say with --url or WR_URL where it is\n"
    )


def test_a_wrong_key_is_reported_with_where_the_right_one_is(server: Ready) -> None:
    result = run_wr("queue", "list", "--url", server.url, "--admin-key", "not-the-key")
    assert result.exit_code == 1
    assert "refuses the admin key from --admin-key or WR_ADMIN_KEY" in result.stderr
    assert "the right one is in admin-key in its data folder" in result.stderr
    assert "not-the-key" not in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_missing_key_is_reported_with_where_it_was_looked_for(server: Ready, tmp_path: Path) -> None:
    result = run_wr("queue", "list", "--url", server.url, "--data-dir", str(tmp_path))
    assert result.exit_code == 1
    assert "an admin key is needed" in result.stderr
    assert f"there is none in {tmp_path / 'admin-key'}" in result.stderr


def test_the_key_of_the_data_folder_is_used_unless_one_is_given(tmp_path: Path) -> None:
    (tmp_path / "admin-key").write_text("from the file\n")
    assert find_admin_key("", tmp_path) == AdminKey("from the file", str(tmp_path / "admin-key"))
    assert find_admin_key("given", tmp_path).value == "given"
    (tmp_path / "admin-key").unlink()
    (tmp_path / "admin-key").mkdir()
    assert find_admin_key("", tmp_path) == AdminKey("", f"{tmp_path / 'admin-key'} (Is a directory)")


def test_server_and_commands_agree_on_the_file_of_the_key() -> None:
    assert ADMIN_KEY_FILE == start_keys.ADMIN_KEY_FILE


def test_the_admin_routes_are_where_the_client_asks_for_them() -> None:
    assert {route.path.startswith(f"{ADMIN_PATH}/") for route in ROUTES if route.auth is Auth.ADMIN} == {True}


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>"), (404, b"Not Found"), (200, b'{"queue": 1}')])
def test_another_program_at_the_address_is_reported_as_such(status: int, body: bytes) -> None:
    with stranger(status, body) as (url, _), pytest.raises(AdminFailure, match="is no wr server") as failure:
        AdminClient(url, KEY).queues()
    assert not failure.value.may_pass


def test_the_key_is_not_carried_along_to_where_a_redirect_points() -> None:
    with (
        stranger(200, b'{"now": "2024-01-01T12:00:00Z", "queues": []}') as (elsewhere, asked),
        stranger(302, b"", Location=elsewhere) as (url, _),
    ):
        with pytest.raises(AdminFailure, match=r"status 302"):
            AdminClient(url, KEY).queues()
        assert asked == []


def test_a_proxy_of_the_environment_does_not_see_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        stranger(200, b'{"now": "2024-01-01T12:00:00Z", "queues": []}') as (proxy, asked),
        stranger(200, b'{"now": "2024-01-01T12:00:00Z", "queues": []}') as (url, _),
    ):
        monkeypatch.setenv("http_proxy", proxy)
        assert AdminClient(url, KEY).queues().queues == []
        assert asked == []


def test_a_path_in_the_url_stands_before_the_api_s_own() -> None:
    with stranger(200, b'{"now": "2024-01-01T12:00:00Z", "queues": []}') as (url, asked):
        AdminClient(f"{url}/room/", KEY).queues()
    assert asked == ["/room/api/v1/admin/queues"]


def test_what_will_pass_says_when_to_ask_again() -> None:
    body = b'{"error": {"code": "RATE_LIMITED", "message": "Too many requests"}, "request_id": "r"}'
    with stranger(429, body, Retry_After="7") as (url, _), pytest.raises(AdminFailure) as failure:
        AdminClient(url, KEY).queues()
    assert str(failure.value) == "Too many requests; ask again in 7 s"
    assert failure.value.may_pass


def test_a_field_that_the_message_does_not_name_is_named_before_it() -> None:
    error = b'"code": "INVALID_REQUEST", "message": "Expected `int`", "details": {"field": "admission_rate"}'
    expected = pytest.raises(AdminFailure, match=r"^admission_rate: Expected `int`$")
    with stranger(400, b'{"error": {%b}, "request_id": "r"}' % error) as (url, _), expected:
        AdminClient(url, KEY).queues()


def test_an_https_url_to_a_server_without_tls_is_reported_as_an_insecure_connection() -> None:
    with (
        stranger(200, b"") as (url, _),
        pytest.raises(AdminFailure, match="no secure connection to https://"),
    ):
        AdminClient(url.replace("http:", "https:"), KEY).queues()


def test_user_and_password_in_a_url_are_not_repeated() -> None:
    assert AdminClient("https://me:secret@rooms.example:8443/a/", KEY).url == "https://rooms.example:8443/a"
    assert AdminClient("http://[::1]:8080", KEY).url == "http://[::1]:8080"
