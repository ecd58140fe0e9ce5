"""A store that has forgotten the scripts is told them again; nobody notices."""

from collections.abc import Callable
from pathlib import Path

import httpx
import jwt

from tests.support.processes import running_server_process
from tests.support.site import Site


def a_whole_day(site: Site) -> dict[str, Callable[[], httpx.Response]]:
    """Every operation that runs a script, in an order in which each works."""
    lobby = site.make_queue()
    token = site.join(lobby).json()["token"]
    session_token = site.admitted(lobby, token)["session_token"]
    session = f"/sessions/{jwt.decode(session_token, options={'verify_signature': False})['sub']}"
    line = site.make_queue(status="paused")
    waiting = site.join(line).json()["token"]
    target = {"id": "another", "target_url": "https://shop.example/"}
    return {
        "join": lambda: site.join(line),
        "status": lambda: site.status(line, waiting),
        "heartbeat": lambda: site.heartbeat(line, waiting),
        "session": lambda: site.call("GET", session, session_token),
        "activity": lambda: site.call("POST", f"{session}/activity", session_token, {"action": "page_view"}),
        "leave": lambda: site.call("DELETE", f"/queues/{line}/position", waiting),
        "terminate": lambda: site.admin("DELETE", session, {"reason": "abuse"}),
        "create": lambda: site.admin("POST", "/queues", target),
        "update": lambda: site.admin("PATCH", "/queues/another", {"admission_rate": 5}),
        "figures": lambda: site.admin("GET", "/queues/another/stats"),
        "flush": lambda: site.admin("POST", f"/queues/{line}/flush"),
        "delete": lambda: site.admin("DELETE", "/queues/another"),
    }


def test_nobody_notices_that_the_store_forgot_the_scripts(tmp_path: Path) -> None:
    # With a limit, what calls no other script is counted by one of its own.
    scopes = ("enqueue", "status", "heartbeat", "activity", "admin")
    settings = {f"limit_{scope}": "1000/60" for scope in scopes}
    with running_server_process(tmp_path, **settings) as server, server.site() as site:
        with server.store.client() as store:
            for name, operation in a_whole_day(site).items():
                store.script_flush()
                response = operation()
                assert response.is_success, f"{name}: {response.text}"
            store.script_flush()
            queue_id = site.make_queue()
            store.script_flush()
            assert site.admitted(queue_id, site.join(queue_id).json()["token"])["admitted"]
        assert "nobody is let in" not in server.log
        assert "failed" not in server.log
