"""What one client may take of the server's time and room."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """Bounds of every connection. Times are in seconds."""

    most_connections: int
    """Connections that are served at once; a few more are told to come back."""
    most_per_address: int
    """Connections that one client address may hold, unless it is a trusted proxy; and live streams."""
    most_requests: int = 10_000
    """Requests on one connection; the last one's answer says that it is the last."""
    idle_patience_s: float = 75.0
    """How long a connection may stay open between two requests."""
    head_patience_s: float = 10.0
    """How long the head of a request may take to arrive, and a new connection its first byte."""
    body_patience_s: float = 20.0
    """How long the body of a request, which is at most a few kilobytes, may take to arrive."""

    send_patience_s: float = 30.0
    """How long a client may take to read what it is sent."""

    @property
    def shortest_patience_s(self) -> float:
        """The shortest of the times above."""
        return min(self.idle_patience_s, self.head_patience_s, self.body_patience_s, self.send_patience_s)
