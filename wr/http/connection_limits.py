"""Limits of connections: how many there may be, and how long a client may keep the server waiting."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """Limits that apply to every connection. Times are in seconds."""

    most_connections: int
    """Connections that are served at once. A few more get 503 with `Retry-After`."""
    most_per_address: int
    """Connections that one client address may hold, unless it is a trusted proxy. The same number of live
    streams."""
    most_requests: int = 10_000
    """Requests on one connection. The response to the last one announces that the connection closes."""
    idle_patience_s: float = 75.0
    """How long a connection may stay open without a request."""
    head_patience_s: float = 10.0
    """How long a request head may take to arrive. Also how long a new connection may send nothing."""
    body_patience_s: float = 20.0
    """How long a request body, which is at most a few kilobytes, may take to arrive."""
    send_patience_s: float = 30.0
    """How long a client may take to read what the server sends."""

    @property
    def shortest_patience_s(self) -> float:
        """The shortest of the times above."""
        return min(self.idle_patience_s, self.head_patience_s, self.body_patience_s, self.send_patience_s)
