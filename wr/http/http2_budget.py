"""Limits the control frames of an HTTP/2 connection, to stop floods of cheap frames.

A frame of 9 bytes can cost the server a hundred times as much as the client: a reset cancels a request that
has begun, and a ping forces an answer. Frames are counted in the raw bytes, before the h2 library parses
them, because h2 reports some frames only when they are complete, and others never.
"""

from collections.abc import Callable, Container

BURST = 200.0
"""Control frames that a client may send at once. A browser sends about ten when it connects, and one or two
for each request. When its user leaves a page, it sends one for each of up to 32 unfinished requests."""
PER_SECOND = 20.0
"""Control frames a second that a client may send without end."""
_EARNED_BY_ANSWER = 2.0
_BYTES_FOR_ONE = 2048
_PREFACE_BYTES = 24
_HEADER_BYTES = 9
_SMALL_DATA_BYTES = 64
_DATA, _HEADERS, _CONTINUATION = 0, 1, 9
_END_STREAM = 0x1
_ANY_STREAM = 0x7FFF_FFFF


class TooMuch(Exception):
    """The client sent more control frames, or a longer head, than any client needs."""


class FrameBudget:
    """Counts the frames that a client sends, by their headers only. Takes about 1 µs a frame.

    Each control frame costs 1: RST_STREAM, PING, SETTINGS, PRIORITY, WINDOW_UPDATE, CONTINUATION, GOAWAY and
    unknown ones. So does a DATA frame that is nearly empty or belongs to no open stream. A HEADERS frame
    costs nothing, because the number of streams limits those. Reading responses makes a client send
    WINDOW_UPDATE frames, so each response adds to the budget.
    """

    def __init__(
        self, open_streams: Container[int], now_s: Callable[[], float], most_head_bytes: int
    ) -> None:
        self._open_streams = open_streams
        self._now_s = now_s
        self._most_head_bytes = most_head_bytes
        self._left = BURST
        self._filled_at = now_s()
        self._skip = _PREFACE_BYTES
        self._header = b""
        self._head_bytes = 0

    def take(self, data: bytes) -> None:
        """Count the frames that begin in `data`, the next bytes of the connection.

        Raises:
            TooMuch: there were too many control frames, or a head is too long.
        """
        offset = 0
        while True:
            if self._skip:
                skipped = min(self._skip, len(data) - offset)
                self._skip -= skipped
                offset += skipped
            missing = _HEADER_BYTES - len(self._header)
            self._header += data[offset : offset + missing]
            offset += missing
            if len(self._header) < _HEADER_BYTES:
                return
            self._count(self._header)
            self._skip = int.from_bytes(self._header[:3])
            self._header = b""

    def spend(self, cost: float = 1.0) -> None:
        """Take `cost` from the budget for work that the client caused.

        Raises:
            TooMuch: the budget is used up.
        """
        now = self._now_s()
        self._left = min(BURST, self._left + (now - self._filled_at) * PER_SECOND)
        self._filled_at = now
        self._left -= cost
        if self._left < 0:
            raise TooMuch("too many control frames")

    def earn_by_answer(self) -> None:
        """Add to the budget for a response that was sent in full."""
        self._left = min(BURST, self._left + _EARNED_BY_ANSWER)

    def earn_by_bytes(self, size: int) -> None:
        """Add to the budget for `size` bytes of a response that were sent."""
        self._left = min(BURST, self._left + size / _BYTES_FOR_ONE)

    def _count(self, header: bytes) -> None:
        length, kind, flags = int.from_bytes(header[:3]), header[3], header[4]
        if kind in (_HEADERS, _CONTINUATION):
            self._head_bytes = length + (self._head_bytes if kind == _CONTINUATION else 0)
            if self._head_bytes > self._most_head_bytes:
                raise TooMuch("a head is too long")
            if kind == _HEADERS:
                return
        brings_something = kind == _DATA and (length >= _SMALL_DATA_BYTES or flags & _END_STREAM)
        if brings_something and int.from_bytes(header[5:]) & _ANY_STREAM in self._open_streams:
            return
        self.spend()
