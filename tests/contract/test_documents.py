"""Every example of both API documents, run as it stands on a fresh server with its demo queues.

What is answered is read as strictly as clients in typed languages read it: a field whose example is a whole
number takes no fraction, and no field of an example may be missing.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.support.clock import HandClock
from tests.support.engines import Engine
from tests.support.server import running_server
from tests.support.site import Site
from tests.support.sockets import websocket

DOCUMENTS = Path(__file__).with_name("documents")
BASE = "/api/v1"
_EXAMPLE = re.compile(
    r"^```(?P<kind>\w*)\n(?P<text>.*?)^```$|^#{2,4} (?P<heading>[^\n]+)$|"
    r"^\*\*(?P<label>[^*\n]+)\*\*|^(?P<said>[A-Z][\w ]+):$",
    re.MULTILINE | re.DOTALL,
)


class Examples:
    """The examples of a document by heading and label, and which of them were used."""

    def __init__(self, name: str) -> None:
        self._texts: dict[tuple[str, str], str] = {}
        self._used: set[tuple[str, str]] = set()
        heading = label = ""
        for found in _EXAMPLE.finditer((DOCUMENTS / name).read_text("utf-8")):
            if found["heading"]:
                heading, label = found["heading"], ""
            elif found["text"] is not None:
                if found["kind"] in ("json", "http", "bash"):
                    self._texts[heading, label] = found["text"]
            else:
                label = (found["label"] or found["said"]).rstrip(":")

    def text(self, heading: str, label: str) -> str:
        self._used.add((heading, label))
        return self._texts[heading, label]

    def json(self, heading: str, label: str = "Response") -> Any:
        return json.loads(self.text(heading, label))

    def unused(self) -> set[tuple[str, str]]:
        return set(self._texts) - self._used


def kind_of(example: Any) -> Any:
    """The type that a client in a typed language has for what an example shows."""
    if isinstance(example, dict):
        return msgspec.defstruct("Answer", [(name, kind_of(each)) for name, each in example.items()])
    return type(example)


def assert_reads_as(example: Any, answered: bytes | str) -> Any:
    """Decode an answer into the types of an example; fields beside those are overlooked, as clients do."""
    return msgspec.to_builtins(msgspec.json.decode(answered, type=kind_of(example)))


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server as `wr serve --demo-queue` starts it: no setting but that, and a new store of its own."""
    folder = str(tmp_path_factory.mktemp("fresh"))
    with running_server(None, data_dir=folder, demo_queue="yes") as ready:
        site = Site(ready.url, ready.admin_key, HandClock(), Engine("embedded", ""), "wr")
        yield site
        site.http.close()


def test_the_comparison_sees_a_fraction_and_a_missing_field() -> None:
    assert_reads_as({"rate": 20, "actual": 9.5}, b'{"rate": 20, "actual": 9, "more": 1}')
    for answered in (b'{"rate": 20.0, "actual": 9.5}', b'{"rate": 20}', b'{"rate": "20", "actual": 1}'):
        with pytest.raises(msgspec.ValidationError):
            assert_reads_as({"rate": 20, "actual": 9.5}, answered)


QUEUE = "/queues/concert-tickets"
LIVE = "Real-time Updates"


class FirstDocument:
    """A client that sends the examples of the first document, and reads what comes as they say."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.examples = Examples("waiting-room-api.md")
        self.operator = {"X-Admin-Key": site.admin_key}
        told = self.examples.text("Headers", "All responses include rate limit headers").strip()
        self._limits = [line.partition(":")[0] for line in told.splitlines()]

    def call(self, method: str, path: str, status: int, **more: Any) -> httpx.Response:
        """Call, and check the status and the headers that every answer has."""
        response = self.site.http.request(method, f"{BASE}{path}", **more)
        assert response.status_code == status, response.text
        assert all(re.fullmatch(r"\d+", response.headers[name]) for name in self._limits)
        return response

    def asked(self, heading: str, token: str, status: int) -> httpx.Response:
        """Send a request that the document spells out, with a real token for the one that it shows."""
        line, *lines = self.examples.text(heading, "Request").strip().splitlines()
        method, path, _ = line.split(" ")
        named = (header.partition(": ") for header in lines)
        headers = {name: re.sub(r"eyJ\S+", lambda _: token, value) for name, _, value in named}
        return self.call(method, path, status, headers=headers)

    def sent(self, heading: str, method: str, path: str, status: int, **headers: str) -> httpx.Response:
        """Send the body of an example as its text stands, with no more headers than the example names."""
        body = self.examples.text(heading, "Request Body")
        return self.call(method, path, status, content=body, headers=headers)

    def reads(self, heading: str, answered: bytes | str, label: str = "Response") -> Any:
        """Read an answer as the example of it says."""
        return assert_reads_as(self.examples.json(heading, label), answered)

    def join(self, user: str) -> str:
        body = json.dumps({"metadata": {"user_id": user}})
        return str(self.call("POST", f"{QUEUE}/enqueue", 201, content=body).json()["token"])

    def make_queue(self) -> None:
        """Make the queue of the examples, which is there already, and hold it."""
        self.sent("Create Queue", "POST", "/admin/queues", 409, **self.operator)
        self.call("DELETE", f"/admin{QUEUE}", 200, headers=self.operator)
        made = self.sent("Create Queue", "POST", "/admin/queues", 201, **self.operator)
        self.reads("Create Queue", made.content)
        paused = self.sent("Update Queue", "PATCH", f"/admin{QUEUE}", 200, **self.operator)
        told = self.reads("Update Queue", paused.content)
        assert (told["admission_rate"], told["status"]) == (20, "paused")
        assert b'"admission_rate":20,' in paused.content

    def set_status(self, status: str) -> None:
        body = json.dumps({"status": status})
        self.call("PATCH", f"/admin{QUEUE}", 200, content=body, headers=self.operator)

    def wait_in_line(self) -> str:
        """Join and keep the place; returns the token."""
        joined = self.sent("Enqueue", "POST", f"{QUEUE}/enqueue", 201)
        token = str(self.reads("Enqueue", joined.content)["token"])
        waits = self.asked("Get Status", token, 200)
        self.reads("Get Status", waits.content, "Response (Waiting)")
        beat = self.sent("Heartbeat", "POST", f"{QUEUE}/heartbeat", 200, **bearer(token))
        self.reads("Heartbeat", beat.content)
        return token

    def leave(self) -> None:
        """Join and leave again."""
        token = self.join("user-124")
        left = self.asked("Cancel Position", token, 200)
        self.reads("Cancel Position", left.content)

    def lose_the_place(self) -> None:
        """Join a line that is emptied, and see that the place is over."""
        self.set_status("paused")
        token = self.join("user-126")
        self.call("POST", f"/admin{QUEUE}/flush", 200, headers=self.operator)
        over = self.call("GET", f"{QUEUE}/status", 410, headers=bearer(token))
        self.reads("Error Responses", over.content, "All errors follow a consistent format")

    async def listen(self, token: str) -> None:
        """Hear of the place, of the end of another, and of the way in."""
        async with websocket(self.site, "concert-tickets", token) as opened:
            self.reads(LIVE, json.dumps(await opened.message()), "Position Update")
            await opened.connection.send_message(self.examples.text(LIVE, "Heartbeat"))
            leaver = self.join("user-125")
            async with websocket(self.site, "concert-tickets", leaver) as other:
                await other.message()
                self.call("DELETE", f"{QUEUE}/position", 200, headers=bearer(leaver))
                self.reads(LIVE, json.dumps(await other.message()), "Expired")
            self.set_status("active")
            message = await opened.message()
            while message["type"] == "position_update":
                message = await opened.message()
            self.reads(LIVE, json.dumps(message), "Admitted")

    def use_the_session(self, token: str) -> None:
        """Take the way in, be active, and be terminated."""
        admitted = self.asked("Get Status", token, 200)
        way_in = self.reads("Get Status", admitted.content, "Response (Admitted)")
        again = self.sent("Heartbeat", "POST", f"{QUEUE}/heartbeat", 200, **bearer(token))
        self.reads("Heartbeat", again.content, "Response (Admitted)")
        session, visitor = f"/sessions/{admitted.json()['session_id']}", bearer(way_in["session_token"])
        stands = self.call("GET", session, 200, headers=visitor)
        self.reads("Session Status", stands.content)
        assert stands.json()["expires_at"] == way_in["session_expires_at"]
        active = self.sent("Session Activity", "POST", f"{session}/activity", 200, **visitor)
        assert self.reads("Session Activity", active.content)["page_views"] == 1
        stats = self.call("GET", f"/admin{QUEUE}/stats", 200, headers=self.operator)
        self.reads("Get Queue Stats", stats.content)
        ended = self.sent("Terminate Session", "DELETE", f"/admin{session}", 200, **self.operator)
        assert self.reads("Terminate Session", ended.content)["reason"] == "abuse_detected"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_every_example_of_the_first_document_runs_as_it_stands(fresh: Site) -> None:
    document = FirstDocument(fresh)
    health = document.asked("Health Check", "", 200)
    document.reads("Health Check", health.content)
    document.make_queue()
    token = document.wait_in_line()
    document.leave()
    await document.listen(token)
    document.use_the_session(token)
    document.lose_the_place()
    # What a request may look like, and no example of one.
    document.examples.text("Enqueue", "Request Schema")
    assert document.examples.unused() == set()


def next_event(lines: Iterator[str]) -> tuple[str, str]:
    name = next(lines).removeprefix("event:")
    data = next(lines).removeprefix("data:")
    assert next(lines) == ""
    return name, data


def test_every_example_of_the_second_document_runs_as_it_stands(fresh: Site) -> None:
    examples = Examples("waiting-queue-api.md")
    join, status = "2.1. 대기열 진입 (Join Queue)", "2.2. 대기 상태 조회 (Get Status)"
    subscribe = "2.3. 실시간 순번 구독 (SSE Subscribe)"
    user = examples.text(join, "Request Example")
    ask = examples.text(status, "Request Example").split()[1]

    def set_status(value: str) -> None:
        assert fresh.admin("PATCH", "/queues/concert-1", {"status": value}).status_code == 200

    set_status("paused")
    joined = fresh.http.post(f"{BASE}/waiting-queue/join", content=user)
    assert joined.status_code == 200
    stands = assert_reads_as(examples.json(join, "Response Example"), joined.content)
    assert stands == {**json.loads(user), "status": "WAITING", "rank": 1}
    waits = fresh.http.get(ask)
    assert assert_reads_as(examples.json(status, "Response Example (WAITING)"), waits.content)["rank"] == 1

    stream = f"{BASE}/waiting-queue/subscribe"
    with fresh.http.stream("GET", stream, params=json.loads(user)) as response:
        lines = response.iter_lines()
        assert next_event(lines)[0] == "INIT"
        name, data = next_event(lines)
        assert name == "RANK_UPDATE"
        assert_reads_as(examples.json(subscribe, "Payload Example (`RANK_UPDATE`)"), data)
        set_status("active")
        while name != "ACTIVE":
            name, data = next_event(lines)
        inside = assert_reads_as(examples.json(subscribe, "Payload Example (`ACTIVE`)"), data)
        assert 290 < inside["activeTtlSeconds"] <= 300, "five minutes, by section 5"

    active = fresh.http.get(ask)
    expected = examples.json(status, "Response Example (ACTIVE)")
    assert assert_reads_as(expected, active.content) == expected
    assert examples.unused() == set()
