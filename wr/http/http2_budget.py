"""What one HTTP/2 connection may send beside requests: floods of cheap frames are recognised here.

A frame of 9 bytes can cost the server a hundred times as much as the client: a reset ends a request that has
begun, a ping buys an answer. Frames are counted as bytes, before the library reads them, because it reports
some of them only when they are complete and others not at all.
"""

from collections.abc import Callable, Container

BURST = 200.0
"""Control frames that a client may send at once. A browser sends about ten when it connects, one or two for
each request, and one for each of the at most 32 requests that it abandons with a page."""
PER_SECOND = 20.0
"""Control frames a second that a client may send for as long as it likes."""
_EARNED_BY_ANSWER = 2.0
_BYTES_FOR_ONE = 2048
_PREFACE_BYTES = 24
_HEADER_BYTES = 9
_SMALL_DATA_BYTES = 64
_DATA, _HEADERS, _CONTINUATION = 0, 1, 9
_END_STREAM = 0x1
_ANY_STREAM = 0x7FFF_FFFF


class TooMuch(Exception):
    """The client sends more frames, or a longer head, than any client needs."""


class FrameBudget:
    """Counts the frames that a client sends, without looking into them; costs about 1 µs a frame.

    Each control frame costs one: RST_STREAM, PING, SETTINGS, PRIORITY, WINDOW_UPDATE, CONTINUATION, GOAWAY,
    unknown ones, and a DATA frame that brings next to nothing or belongs to no open stream. A head costs
    nothing: the number of streams bounds those. Answers that the client takes earn what a client spends on
    them in WINDOW_UPDATE.
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
        """Count the frames that begin in these bytes, the next that were received.

        Raises:
            TooMuch: there were too many, or a head is too long.
        """
        place = 0
        while True:
            if self._skip:
                skipped = min(self._skip, len(data) - place)
                self._skip -= skipped
                place += skipped
            missing = _HEADER_BYTES - len(self._header)
            self._header += data[place : place + missing]
            place += missing
            if len(self._header) < _HEADER_BYTES:
                return
            self._count(self._header)
            self._skip = int.from_bytes(self._header[:3])
            self._header = b""

    def spend(self, cost: float = 1.0) -> None:
        """Count something that the client made the server do.

        Raises:
            TooMuch: that was too often.
        """
        now = self._now_s()
        self._left = min(BURST, self._left + (now - self._filled_at) * PER_SECOND)
        self._filled_at = now
        self._left -= cost
        if self._left < 0:
            raise TooMuch("too many control frames")

    def earn_by_answer(self) -> None:
        """Note that an answer was sent in full."""
        self._left = min(BURST, self._left + _EARNED_BY_ANSWER)

    def earn_by_bytes(self, size: int) -> None:
        """Note that the client took so many bytes of an answer."""
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
