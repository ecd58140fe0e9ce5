"""Shapes of heads: which headers a client sends, in which order, and where each value begins.

A client sends the same headers with every request, only with other values. So a head whose names and order
are known is read without a parser: its lines are compared with the shape, which also says where the values
are. The parser reads the first head of each shape, and all that are odd in any way.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeVar, overload
from urllib.parse import unquote

from wr.model.bounded_cache import BoundedCache

T = TypeVar("T")
_MOST_KEPT = 512
"""Shapes that are kept. Each browser and each library has about one for each kind of request."""
_ODD = ("transfer-encoding", "expect", "http2-settings", "upgrade")
_MOST_LINES = 48
"""Longer heads are left to the parser, so that the memory of the shapes is bounded."""
_LONGEST_NAME = 64
_MOST_LINES_KEPT = 1024
_LONGEST_LINE_KEPT = 256
_REQUEST_LINE = re.compile(
    rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/[A-Za-z0-9/._~%?&=+,:;@!$'()*-]*) HTTP/1\.1"
)
"""Request lines that the parser would read alike. The others are left to it."""
_VISIBLE = bytes(code for code in range(256) if code in (9, 32) or (code > 32 and code != 127))


class HeadShape:
    """The names of the headers of one kind of head, in their order."""

    __slots__ = ("connection_at", "length_at", "line_count", "line_ends", "prefixes", "values_at")

    def __init__(self, names: tuple[bytes, ...]) -> None:
        # A head is split at its line ends, of which it has two at its end.
        self.prefixes = (b"", *(name + b":" for name in names), b"", b"")
        """How the lines begin. The first line is the request line."""
        self.values_at = {
            name.lower().decode("ascii"): (number, len(name) + 1) for number, name in enumerate(names, 1)
        }
        """The line of each header, by its name in lower case, and where in the line its value begins."""
        self.length_at = self.values_at.get("content-length")
        self.connection_at = self.values_at.get("connection")
        self.line_count = len(self.prefixes)
        self.line_ends = b"\r\n" * (self.line_count - 1)
        """What remains of such a head without its visible characters."""

    def fits(self, head: bytes, lines: list[bytes]) -> bool:
        """Whether a head, which was split at its line ends into these lines, has this shape, and no control
        characters but tabs in its lines. Takes 1 µs."""
        return (
            len(lines) == self.line_count
            and all(map(bytes.startswith, lines, self.prefixes))
            and head.translate(None, _VISIBLE) == self.line_ends
        )


class SentHeaders(Mapping[str, str]):
    """The headers of one request, by their names in lower case. A value is decoded when it is asked for."""

    __slots__ = ("_lines", "_shape")

    def __init__(self, lines: list[bytes], shape: HeadShape) -> None:
        self._lines = lines
        self._shape = shape

    @overload
    def get(self, key: str, /) -> str | None: ...
    @overload
    def get(self, key: str, /, default: str | T) -> str | T: ...

    def get(self, key: str, /, default: str | T | None = None) -> str | T | None:
        """Return the value of a header, without white space around it; `default` if it was not sent."""
        place = self._shape.values_at.get(key)
        if place is None:
            return default
        line, begin = place
        return self._lines[line][begin:].decode("latin-1").strip(" \t")

    def __getitem__(self, key: str) -> str:
        line, begin = self._shape.values_at[key]
        return self._lines[line][begin:].decode("latin-1").strip(" \t")

    def __contains__(self, key: object) -> bool:
        return key in self._shape.values_at

    def __iter__(self) -> Iterator[str]:
        return iter(self._shape.values_at)

    def __len__(self) -> int:
        return len(self._shape.values_at)


class RequestLine(NamedTuple):
    """The first line of a head."""

    method: str
    path: str
    """Without the percent signs of its encoding."""
    query: str


class HeadShapes:
    """The shapes that clients have sent lately, and their request lines, for all connections."""

    def __init__(self) -> None:
        self._known: BoundedCache[tuple[bytes, ...], HeadShape] = BoundedCache(_MOST_KEPT)
        self._request_lines: BoundedCache[bytes, RequestLine] = BoundedCache(_MOST_LINES_KEPT)

    def find(self, lines: list[bytes]) -> HeadShape | None:
        """Find the shape of a head that was split at its line ends; None if no such head was read before."""
        return self._known.get(_names(lines))

    def request_line(self, line: bytes) -> RequestLine | None:
        """Read a request line; None for one that the parser might read in another way."""
        known = self._request_lines.get(line)
        if known is None:
            match = _REQUEST_LINE.fullmatch(line)
            if match is None:
                return None
            path, _, query = match[2].decode("ascii").partition("?")
            known = RequestLine(match[1].decode("ascii"), unquote(path) if "%" in path else path, query)
            if not query and len(line) <= _LONGEST_LINE_KEPT:
                self._request_lines.put(line, known)
        return known

    def learn(self, head: bytes, headers: Mapping[str, str]) -> None:
        """Remember the shape of a head that the parser has read, unless it needs the parser each time."""
        lines = head.split(b"\r\n")
        names = _names(lines)
        is_plain = (
            len(lines) <= _MOST_LINES
            # A repeated header is joined, and a line that continues the one before has no name of its own.
            and len(headers) == len(names)
            and all(
                len(name) <= _LONGEST_NAME and name.lower().decode("latin-1") in headers for name in names
            )
            and headers.keys().isdisjoint(_ODD)
        )
        if is_plain:
            self._known.put(names, HeadShape(names))


def _names(lines: list[bytes]) -> tuple[bytes, ...]:
    return tuple([line.partition(b":")[0] for line in lines[1:-2]])
