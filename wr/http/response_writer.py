"""Responses as bytes of HTTP/1.1: what is the same in each is spelled once."""

from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from wr.api.http_messages import COMMON_HEADERS, UNCOUNTED, HttpResponse


class ResponseWriter:
    """Spells responses; `date` is kept up to date by whoever looks at the clock anyway."""

    def __init__(self) -> None:
        self.date = b""
        """The value of the `Date` header (RFC 9110, section 5.6.7)."""
        self.tell_date(0)

    def tell_date(self, unix_s: float) -> None:
        """Take in the time, seconds since 1970."""
        self.date = formatdate(unix_s, usegmt=True).encode()

    def spell(self, response: HttpResponse, *, has_body: bool, is_last: bool) -> bytes:
        """Spell a whole response; about 2 µs.

        Without a body its length is told all the same, as an answer to HEAD wants it. `is_last` tells the
        client that the connection ends.
        """
        usage = response.usage
        return b"%b%b\r\nX-Request-Id: %b\r\nContent-Length: %d\r\n%b%b%b\r\n%b" % (
            _beginning(response.status, response.content_type, response.caching),
            self.date,
            response.request_id.encode("latin-1"),
            len(response.body),
            _UNCOUNTED
            if usage is None
            else b"X-RateLimit-Limit: %d\r\nX-RateLimit-Remaining: %d\r\nX-RateLimit-Reset: %d\r\n"
            % usage.told,
            _lines(response.extra_headers) if response.extra_headers else b"",
            b"Connection: close\r\n" if is_last else b"",
            response.body if has_body else b"",
        )

    def spell_head(self, status: int, headers: list[tuple[str, str]]) -> bytes:
        """Spell the head of a response whose body follows as it comes."""
        line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
        return b"%b%bDate: %b\r\n\r\n" % (line, _lines(headers), self.date)


@lru_cache(maxsize=256)
def _beginning(status: int, content_type: str, caching: str) -> bytes:
    """Everything up to the date, which no response says differently from others of its kind."""
    lines = _lines([("Content-Type", content_type), ("Cache-Control", caching), *COMMON_HEADERS])
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode() + lines + b"Date: "


def _lines(headers: list[tuple[str, str]]) -> bytes:
    # A letter that no header can hold must not cost the visitor the whole answer.
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin-1", "replace")


_UNCOUNTED = _lines([*UNCOUNTED])
