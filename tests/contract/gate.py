"""What a proxy asks the gate, as contract tests ask it."""

import httpx

from tests.contract.helpers import Visit, waiting
from tests.support import plain_http
from tests.support.site import BASE, Site


def ask(site: Site, queue_id: str, uri: str = "/", *, query: str = "", **headers: str) -> httpx.Response:
    """Ask as Caddy and Traefik do, or, with `?refuse=401`, much as nginx does."""
    sent = {"X-Forwarded-Uri": uri, "X-Forwarded-Method": "GET", **headers}
    return plain_http.get(f"{site.url}{BASE}/gate/{queue_id}{query}", headers=sent)


def with_session(site: Site, visit: Visit, uri: str = "/", **headers: str) -> httpx.Response:
    """Ask about somebody whose cookie keeps a session."""
    cookie = f"wr_session-{visit.queue_id}={visit.session_token}"
    return ask(site, visit.queue_id, uri, **{"Cookie": cookie, **headers})


def busy_queue(site: Site, **settings: object) -> str:
    """A queue with somebody in line, so that nobody walks in."""
    queue_id = site.make_queue(**{"status": "paused", "unique_by": "none", **settings})
    waiting(site, queue_id)
    return queue_id


def admitted_today(site: Site, queue_id: str) -> int:
    return int(site.admin("GET", f"/queues/{queue_id}/stats").json()["total_admitted_today"])
