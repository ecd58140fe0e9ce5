"""Rules for WebSockets on both lanes: what a client may send, how much, and when it counts as gone."""

import math

import msgspec
import structlog

from wr.api.http_messages import HttpRequest
from wr.api.json_numbers import decode_whole_numbers
from wr.api.live_feed import Feed
from wr.api.visitors.live_messages import ClientHeartbeat
from wr.live.stream import Stream
from wr.model.refusals import RateLimited, Refusal, Unavailable

log = structlog.get_logger("wr.streams")

LONGEST_MESSAGE_BYTES = 4096
MOST_FRAMES = 200
"""Frames that a client may send in each window of `FRAME_WINDOW_S`: 100 times what the waiting page sends."""
FRAME_WINDOW_S = 10.0
INVALID_PAYLOAD = 1007
POLICY_VIOLATION = 1008
TOO_MANY_FRAMES = (POLICY_VIOLATION, "too many frames")
BINARY_MESSAGE = (1003, "send text")
"""Close code and reason for a message that is no text (RFC 6455, section 7.4.1)."""
"""The close code and the reason for a client that sends more than `FrameCount` allows."""
MESSAGE_TOO_BIG = 1009
_HEARTBEAT = "heartbeat"


class _Typed(msgspec.Struct):
    """Any message with a `type`."""

    type: str


_heartbeats = msgspec.json.Decoder(ClientHeartbeat)
_typed = msgspec.json.Decoder(_Typed)


class Pulse:
    """Detects with pings whether the client is still there. Times are in seconds."""

    __slots__ = ("_heard_at", "_ping_s", "_pinged_at")

    def __init__(self, ping_s: float, now: float) -> None:
        self._ping_s = ping_s
        self._heard_at = now
        self._pinged_at = now

    @property
    def due(self) -> float:
        """When to ping next."""
        return self._pinged_at + self._ping_s

    def hear(self, stream: Stream, now: float) -> None:
        """Note that the client sent something."""
        self._heard_at = now
        stream.is_alive = True

    def ping(self, stream: Stream, now: float) -> bool:
        """Note that a ping is sent now.

        Returns False if the last two pings went unanswered: the client counts as gone, and no ping is needed.
        """
        if self._heard_at < self._pinged_at - self._ping_s:
            return False
        # After one unanswered ping the stream stays open, but no longer keeps the visitor's place.
        stream.is_alive = self._heard_at >= self._pinged_at
        self._pinged_at = now
        return True


class FrameCount:
    """Counts the frames of a client on a WebSocket, because a client can send small frames at no cost."""

    __slots__ = ("_frames", "_window_ends")

    def __init__(self) -> None:
        self._window_ends = -math.inf
        self._frames = 0

    def is_exceeded(self, now: float) -> bool:
        """Count one more frame, or part of one, at `now` seconds. Returns whether it is one too many."""
        if now >= self._window_ends:
            self._window_ends = now + FRAME_WINDOW_S
            self._frames = 0
        self._frames += 1
        return self._frames > MOST_FRAMES


async def take_in(feed: Feed, text: str) -> tuple[int, str] | None:
    """Handle a message of the client.

    Returns the close code and the reason if the message ends the WebSocket, else None.
    """
    try:
        decode_whole_numbers(_heartbeats, text, ClientHeartbeat)
    except msgspec.ValidationError:
        if _is_of_another_type(text):
            # It may be of a later version of this API, or the site's own. The stream goes on.
            return None
        return POLICY_VIOLATION, "not a message of this API"
    except (msgspec.DecodeError, RecursionError):
        return INVALID_PAYLOAD, "not JSON"
    try:
        await feed.heartbeat()
    except RateLimited:
        return POLICY_VIOLATION, "too many messages"
    except Unavailable:
        log.debug("a heartbeat waits for the store")
    except Refusal:
        log.debug("a heartbeat for a place that has ended")
    return None


def _is_of_another_type(text: str) -> bool:
    """Whether this is a message of a type that the server does not know."""
    try:
        kind = _typed.decode(text).type
    except (msgspec.DecodeError, RecursionError):
        return False
    return kind != _HEARTBEAT


def take_token(subprotocols: list[str], request: HttpRequest) -> str | None:
    """Move the token from the offered subprotocols to the headers. Returns the subprotocol to accept, if any.

    Browsers cannot set headers on a WebSocket, so they offer two subprotocols: `bearer` and the token.
    """
    headers = request.headers
    if len(subprotocols) < 2 or subprotocols[0].lower() != "bearer" or "authorization" in headers:
        return None
    request.headers = {**headers, "authorization": f"Bearer {subprotocols[1]}"}
    return subprotocols[0]
