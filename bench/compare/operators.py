"""Calls of the admin API that the benchmark needs."""

from typing import Any

import httpx

from bench.servers import ADMIN_KEY, Server
from wr.model.queue_settings import WEEK_S

_PATIENCE_S = 60


class OperatorService:
    """The admin API of one server."""

    def __init__(self, server: Server) -> None:
        self._client = httpx.Client(
            base_url=f"{server.url}/api/v1/admin", headers={"X-Admin-Key": ADMIN_KEY}, timeout=_PATIENCE_S
        )

    def make_queue(self, queue_id: str, *, rate: float = 10, status: str = "paused") -> None:
        """Create a queue of unlimited size that drops no visitor for a week."""
        settings = {
            "id": queue_id,
            "target_url": "https://shop.example/",
            "status": status,
            "admission_rate": rate,
            "max_active_users": 1_000_000_000,
            "max_queue_size": 0,
            "session_timeout_seconds": WEEK_S,
            "heartbeat_timeout_seconds": WEEK_S,
        }
        self._client.post("/queues", json=settings).raise_for_status()

    def set_status(self, queue_id: str, status: str) -> None:
        """Activate or pause a queue."""
        self._client.patch(f"/queues/{queue_id}", json={"status": status}).raise_for_status()

    def admitted(self, queue_id: str) -> int:
        """Return the queue's own count of today's admissions."""
        response = self._client.get(f"/queues/{queue_id}/stats").raise_for_status()
        stats: dict[str, Any] = response.json()
        return int(stats["total_admitted_today"])

    def delete(self, queue_id: str) -> None:
        """Delete a queue and all its visitors."""
        self._client.delete(f"/queues/{queue_id}").raise_for_status()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
