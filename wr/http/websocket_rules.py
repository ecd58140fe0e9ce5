"""What may be said on a WebSocket, and how long it may be silent, whichever lane carries it."""

import math

import msgspec
import structlog

from wr.api.json_numbers import decode_whole_numbers
from wr.api.live_feed import Feed
from wr.api.visitors.live_messages import ClientHeartbeat
from wr.live.stream import Stream
from wr.model.refusals import RateLimited, Refusal, Unavailable

log = structlog.get_logger("wr.streams")

LONGEST_MESSAGE_BYTES = 4096
MOST_FRAMES = 200
"""Frames that a client may send in each window: a hundred times what a page or a browser sends."""
FRAME_WINDOW_S = 10.0
UNSUPPORTED_DATA = 1003
INVALID_PAYLOAD = 1007
POLICY_VIOLATION = 1008
TOO_MANY_FRAMES = (POLICY_VIOLATION, "too many frames")
"""The close code and the reason for a client that sends more than `FrameCount` allows."""
MESSAGE_TOO_BIG = 1009
_HEARTBEAT = "heartbeat"


class _Typed(msgspec.Struct):
    """Any message that says of which type it is."""

    type: str


_heartbeats = msgspec.json.Decoder(ClientHeartbeat)
_typed = msgspec.json.Decoder(_Typed)


class Pulse:
    """Whether somebody is still at the other end: pings that are answered. Times are in seconds."""

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
        """Note a sign of life."""
        self._heard_at = now
        stream.is_alive = True

    def ping(self, stream: Stream, now: float) -> bool:
        """Note that a ping goes out; False when it need not, for two were not answered: nobody is there."""
        if self._heard_at < self._pinged_at - self._ping_s:
            return False
        # One unanswered ping ends no stream, but no longer keeps a place.
        stream.is_alive = self._heard_at >= self._pinged_at
        self._pinged_at = now
        return True


class FrameCount:
    """Counts what a client sends on a WebSocket: a ping, a pong or a part of a message costs it nothing."""

    __slots__ = ("_frames", "_window_ends")

    def __init__(self) -> None:
        self._window_ends = -math.inf
        self._frames = 0

    def is_exceeded(self, now: float) -> bool:
        """Count one more frame, or part of one, at `now` seconds; returns whether it is one too many."""
        if now >= self._window_ends:
            self._window_ends = now + FRAME_WINDOW_S
            self._frames = 0
        self._frames += 1
        return self._frames > MOST_FRAMES


async def take_in(feed: Feed, text: str | None) -> tuple[int, str] | None:
    """Take in what the client says, None if it was no text; a close code and the reason when that ends it."""
    if text is None:
        return UNSUPPORTED_DATA, "send text"
    try:
        decode_whole_numbers(_heartbeats, text, ClientHeartbeat)
    except msgspec.ValidationError:
        if _is_of_another_type(text):
            # Of a later version of this API, or of the site's own making: no reason to lose a stream.
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
        log.debug("a heartbeat of somebody whose place is over")
    return None


def _is_of_another_type(text: str) -> bool:
    """Whether this is a message whose type the server does not know."""
    try:
        kind = _typed.decode(text).type
    except (msgspec.DecodeError, RecursionError):
        return False
    return kind != _HEARTBEAT


def token_among(subprotocols: list[str], headers: dict[str, str]) -> str | None:
    """Take the token from the subprotocols a client offers; returns the one to accept, if any.

    Browsers can set no header, so the token comes as if it were a protocol beside `bearer`.
    """
    if len(subprotocols) < 2 or subprotocols[0].lower() != "bearer" or "authorization" in headers:
        return None
    headers["authorization"] = f"Bearer {subprotocols[1]}"
    return subprotocols[0]
