"""`kill -9` of the embedded store, and one that hangs: 503 meanwhile, recovery by itself, nothing lost."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import httpx
import jwt
import trio

from tests.support import plain_http
from tests.support.crowd import Crowd, coming, until
from tests.support.processes import ServerProcess, eventually, running_server_process
from tests.support.site import BASE, Site, error_code


@contextmanager
def store_never_lives_long(server: ServerProcess) -> Iterator[None]:
    """Kill the store for as long as the block runs, as often as the server starts it again."""
    enough = Event()

    def kill_again_and_again() -> None:
        while not enough.wait(0.002):
            server.kill_store()

    killer = Thread(target=kill_again_and_again)
    killer.start()
    try:
        yield
    finally:
        enough.set()
        killer.join()


def requests_of(site: Site, queue_id: str) -> dict[str, Callable[[], httpx.Response]]:
    """One request of each kind that needs the store, by a visitor in line and one who was let in."""
    waiting = site.join(queue_id).json()["token"]
    lobby = site.make_queue()
    session_token = site.admitted(lobby, site.join(lobby).json()["token"])["session_token"]
    path = f"/sessions/{jwt.decode(session_token, options={'verify_signature': False})['sub']}"
    requests = {
        "enqueue": lambda: site.join(queue_id),
        "status": lambda: site.status(queue_id, waiting),
        "heartbeat": lambda: site.heartbeat(queue_id, waiting),
        "session": lambda: site.call("GET", path, session_token),
        "activity": lambda: site.call("POST", f"{path}/activity", session_token, {"action": "page_view"}),
        "admin": lambda: site.admin("GET", f"/queues/{queue_id}/stats"),
    }
    for name, request in requests.items():
        assert request().is_success, name
    return requests


def is_unavailable(response: httpx.Response) -> bool:
    """Whether it is the answer of a server whose store is away; any other failure is an error."""
    if response.is_success:
        return False
    assert response.status_code == 503, response.text
    assert error_code(response) == "SERVICE_UNAVAILABLE"
    assert int(response.headers["retry-after"]) >= 1
    return True


def is_unhealthy(response: httpx.Response) -> bool:
    if response.status_code == 200:
        assert response.json()["status"] == "healthy"
        return False
    assert response.status_code == 503, response.text
    assert response.json()["status"] == "unhealthy"
    assert response.json()["components"]["dragonflydb"] == "unhealthy"
    assert int(response.headers["retry-after"]) >= 1
    return True


async def test_with_fsync_always_nothing_acknowledged_is_lost_when_the_store_is_killed_under_load(
    tmp_path: Path,
) -> None:
    with running_server_process(tmp_path, store_fsync="always") as server, server.site() as site:
        with server.store.client() as client:
            assert client.config_get("appendfsync") == {"appendfsync": "always"}
        queue_id = site.make_queue(status="paused", heartbeat_timeout_seconds=600)
        crowd = Crowd(server.url, queue_id)
        async with coming(crowd):
            for round_number in range(1, 4):
                await until(lambda n=round_number: len(crowd.tokens) >= 40 * n, "a crowd has joined")
                killed = server.store_pid
                server.kill_store()
                await until(
                    lambda pid=killed: server.store_pid not in (0, pid), "the store was started again"
                )
            acknowledged = len(crowd.tokens)
            await until(lambda: len(crowd.tokens) > acknowledged, "people join again")
        assert crowd.turned_away > 0
        crowd.check_everyone_stands_where_they_stood(site)


def test_every_request_gets_503_with_retry_after_while_the_store_is_dead_and_200_afterwards(
    tmp_path: Path,
) -> None:
    with running_server_process(tmp_path) as server, server.site() as site:
        queue_id = site.make_queue(status="paused", heartbeat_timeout_seconds=600)
        requests = requests_of(site, queue_id)
        lobby = site.make_queue(status="paused")
        token = site.join(lobby).json()["token"]
        with store_never_lives_long(server):
            for name, request in requests.items():
                eventually(lambda ask=request: is_unavailable(ask()), f"{name} gets 503")
            for path in ("/health", f"{BASE}/health"):
                eventually(lambda at=path: is_unhealthy(site.http.get(at)), f"{path} is unhealthy")
            eventually(lambda: "nobody is let in while the store is away" in server.log, "nobody is let in")
            # What needs no store is served as ever.
            assert site.http.get("/.well-known/jwks.json").status_code == 200
        eventually(lambda: site.http.get("/health").status_code == 200, "the server is healthy again")
        for name, request in requests.items():
            assert request().is_success, name
        assert site.admin("PATCH", f"/queues/{lobby}", {"status": "active"}).status_code == 200
        assert site.admitted(lobby, token)["admitted"], "people are let in again"
        assert "Traceback" not in server.log


async def test_while_the_store_hangs_requests_are_refused_within_seconds_and_not_carried_out_later(
    tmp_path: Path,
) -> None:
    with running_server_process(tmp_path) as server, server.site() as site:
        queue_id = site.make_queue(status="paused", heartbeat_timeout_seconds=600)
        token = site.join(queue_id).json()["token"]
        answers: list[httpx.Response] = []

        async def ask(http: httpx.AsyncClient, method: str, path: str) -> None:
            headers = {"Authorization": f"Bearer {token}"} if path != "/enqueue" else {}
            url = f"{server.url}{BASE}/queues/{queue_id}{path}"
            answers.append(await http.request(method, url, headers=headers))

        server.freeze_store()
        try:
            async with plain_http.async_client(timeout=20) as http:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(ask, http, "POST", "/enqueue")
                    assert is_unhealthy(await http.get(f"{server.url}/health"))
                    # These stand behind the first one, which takes three seconds. They must not take as long
                    # again, and not reach the store: their visitors are told that it did not work.
                    for _ in range(4):
                        nursery.start_soon(ask, http, "POST", "/enqueue")
                        nursery.start_soon(ask, http, "GET", "/status")
                        nursery.start_soon(ask, http, "POST", "/heartbeat")
                await ask(http, "POST", "/enqueue")
            assert len(answers) == 14
            assert all(is_unavailable(answer) for answer in answers)
        finally:
            server.thaw_store()
        eventually(lambda: site.status(queue_id, token).status_code == 200, "the store answers again")
        eventually(lambda: site.http.get("/health").status_code == 200, "the server is healthy again")
        newcomer = site.join(queue_id).json()
        assert newcomer["position"] <= 3, "only the first one had reached the store"
