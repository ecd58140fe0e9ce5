"""Converts the header fields of HTTP/2 (h2 library) into requests of the API, and responses back."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from wr.api.http_messages import HttpRequest

Fields = Sequence[tuple[bytes, bytes]]

_TARGET = re.compile(rb"[\x21-\x7e]+")
_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_HTTP1_ONLY = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}
"""Headers that HTTP/2 forbids (RFC 9113, section 8.2.2)."""


class ReadRequest(NamedTuple):
    """A request without its body."""

    request: HttpRequest
    is_sound: bool
    """Whether the request would be valid in HTTP/1.1. The other lanes refuse all others too."""


def read_fields(fields: Fields, peer: str) -> ReadRequest:
    """Turn the header fields of a request into a request of the API. `peer` is the client's IP address."""
    method, target = b"", b""
    headers: dict[str, str] = {}
    is_sound = True
    for name, value in fields:
        is_sound = is_sound and _CONTROL.search(value) is None
        if name == b":method":
            method = value
        elif name == b":path":
            target = value
        elif name == b":authority":
            headers["host"] = value.decode("latin-1")
        elif not name.startswith(b":"):
            _add(headers, name.decode("latin-1"), value.decode("latin-1"))
    is_sound = is_sound and bool(_TARGET.fullmatch(target) and _METHOD.fullmatch(method))
    path, _, query = target.decode("latin-1").partition("?")
    request = HttpRequest(
        method=method.decode("latin-1").upper(),
        path=unquote(path) or "/",
        query=query,
        headers=headers,
        body=b"",
        peer=peer,
    )
    return ReadRequest(request, is_sound)


def spell_fields(status: int, headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Return the header fields of a response."""
    fields = [(b":status", b"%d" % status)]
    for name, value in headers:
        lower = name.lower()
        if lower not in _HTTP1_ONLY:
            # A character that no header can hold becomes `?`. Otherwise the whole response would fail.
            fields.append((lower.encode("latin-1"), value.encode("latin-1", "replace")))
    return fields


def _add(headers: dict[str, str], name: str, value: str) -> None:
    """Add a field. The first `host` counts, because `:authority` comes before all other fields."""
    if name not in headers:
        headers[name] = value
    elif name == "cookie":
        # HTTP/2 may send each cookie in a field of its own (RFC 9113, section 8.2.3).
        headers[name] = f"{headers[name]}; {value}"
    elif name != "host":
        headers[name] = f"{headers[name]}, {value}"
