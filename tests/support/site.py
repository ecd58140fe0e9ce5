"""A server as visitors and operators see it over HTTP."""

import itertools
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support import plain_http
from tests.support.clock import HandClock
from tests.support.engines import Engine

BASE = "/api/v1"
_addresses = itertools.count(1)


def new_address() -> str:
    """Return an address that no other visitor of this test run has."""
    number = next(_addresses)
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


@dataclass
class Site:
    """One server, its clock, and the store behind it."""

    url: str
    admin_key: str
    clock: HandClock
    engine: Engine
    prefix: str
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = plain_http.client(base_url=self.url, timeout=10)

    def admin(self, method: str, path: str, json: Any = None, **more: Any) -> httpx.Response:
        headers = {"X-Admin-Key": self.admin_key, **more.pop("headers", {})}
        body = {} if json is None else {"json": json}
        return self.http.request(method, f"{BASE}/admin{path}", headers=headers, **body, **more)

    def make_queue(self, **settings: Any) -> str:
        """Create a queue with these settings (high limits by default) and return its id."""
        queue_id = settings.pop("id", f"q-{secrets.token_hex(6)}")
        timeout_s = settings.get("heartbeat_timeout_seconds")
        if isinstance(timeout_s, int) and timeout_s > 30:
            # With this interval, a place with an unused token is kept for the whole timeout.
            settings.setdefault("heartbeat_interval_seconds", min(-(-timeout_s // 3), 3600))
        response = self.admin(
            "POST", "/queues", {"id": queue_id, "target_url": "https://shop.example/checkout", **settings}
        )
        assert response.status_code == 201, response.text
        return str(queue_id)

    def join(
        self,
        queue_id: str,
        body: Any = None,
        *,
        address: str | None = None,
        token: str | None = None,
        **more: Any,
    ) -> httpx.Response:
        headers = {"X-Forwarded-For": address or new_address(), **more.pop("headers", {})}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        content = {} if body is None else {"json": body}
        return self.http.post(f"{BASE}/queues/{queue_id}/enqueue", headers=headers, **content, **more)

    def call(
        self, method: str, path: str, token: str | None = None, json: Any = None, **more: Any
    ) -> httpx.Response:
        headers = more.pop("headers", {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        body = {} if json is None else {"json": json}
        return self.http.request(method, f"{BASE}{path}", headers=headers, **body, **more)

    def status(self, queue_id: str, token: str) -> httpx.Response:
        return self.call("GET", f"/queues/{queue_id}/status", token)

    def heartbeat(self, queue_id: str, token: str) -> httpx.Response:
        return self.call("POST", f"/queues/{queue_id}/heartbeat", token)

    def admitted(self, queue_id: str, token: str) -> dict[str, Any]:
        """Wait until the visitor with this token is admitted; returns that status answer."""
        return self.wait_for(
            lambda: self.status(queue_id, token), lambda r: r.json().get("status") == "admitted"
        ).json()  # type: ignore[no-any-return]

    def wait_for(
        self,
        ask: Callable[[], httpx.Response],
        until: Callable[[httpx.Response], bool],
        seconds: float = 10.0,
    ) -> httpx.Response:
        """Repeat a request until `until` accepts the answer."""
        deadline = time.monotonic() + seconds
        while True:
            response = ask()
            if until(response):
                return response
            if time.monotonic() > deadline:
                raise AssertionError(f"still {response.status_code} {response.text}")
            time.sleep(0.01)


def error_code(response: httpx.Response) -> str:
    """Return the error code of an answer, after checking that its form matches the contract."""
    body = response.json()
    assert set(body) == {"error", "request_id"}, body
    assert set(body["error"]) <= {"code", "message", "details"}
    assert body["request_id"] == response.headers["x-request-id"]
    assert response.headers["content-type"] == "application/json"
    return str(body["error"]["code"])
