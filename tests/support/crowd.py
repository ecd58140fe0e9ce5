"""A crowd of visitors that joins a paused queue as fast as possible and records what the server
acknowledged."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import trio

from tests.support import plain_http
from tests.support.processes import eventually
from tests.support.site import BASE, Site, error_code, new_address

JOINERS = 6


@dataclass
class Crowd:
    """The visitors of a paused queue: the acknowledged token of each, by position."""

    url: str
    queue_id: str
    tokens: dict[int, str] = field(default_factory=dict)
    heartbeats: int = 0
    turned_away: int = 0

    async def keep_coming(self) -> None:
        """Join repeatedly, with a heartbeat after each join, until the server is gone."""
        async with plain_http.async_client(
            base_url=f"{self.url}{BASE}/queues/{self.queue_id}", timeout=30
        ) as http:
            try:
                while True:
                    joined = await http.post("/enqueue", headers={"X-Forwarded-For": new_address()})
                    if joined.status_code != 201:
                        assert error_code(joined) == "SERVICE_UNAVAILABLE", joined.text
                        self.turned_away += 1
                        continue
                    body = joined.json()
                    assert body["position"] not in self.tokens, "two people were given one place"
                    self.tokens[body["position"]] = body["token"]
                    beat = await http.post("/heartbeat", headers={"Authorization": f"Bearer {body['token']}"})
                    self.heartbeats += beat.status_code == 200
            except httpx.TransportError:
                return

    def check_everyone_stands_where_they_stood(self, site: Site) -> None:
        """Check that every acknowledged place is unchanged: in a paused queue, no place may change."""
        for position, token in self.tokens.items():
            status = site.status(self.queue_id, token)
            assert (status.status_code, status.json().get("position")) == (200, position), status.text


@asynccontextmanager
async def coming(crowd: Crowd) -> AsyncIterator[None]:
    """Let a crowd join while the block runs."""
    async with trio.open_nursery() as nursery:
        for _ in range(JOINERS):
            nursery.start_soon(crowd.keep_coming)
        yield
        nursery.cancel_scope.cancel()


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition while other tasks run."""
    await trio.to_thread.run_sync(eventually, condition, what)
