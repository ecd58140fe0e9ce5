"""Requests and answers of HTTP/2: header fields of the library, turned into the API's plain objects."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from wr.api.http_messages import HttpRequest

Fields = Sequence[tuple[bytes, bytes]]

_TARGET = re.compile(rb"[\x21-\x7e]+")
_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_OF_HTTP1 = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}
"""Headers that HTTP/2 has no use for and forbids (RFC 9113, section 8.2.2)."""


class ReadRequest(NamedTuple):
    """A request without its body."""

    request: HttpRequest
    is_sound: bool
    """Whether HTTP/1.1 could have brought it: the other lanes refuse what is not sound."""


def read_fields(fields: Fields, peer: str) -> ReadRequest:
    """Read the head of a request; `peer` is the address at the other end."""
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
    """Spell the head of an answer."""
    fields = [(b":status", b"%d" % status)]
    for name, value in headers:
        lower = name.lower()
        if lower not in _OF_HTTP1:
            # A letter that no header can hold must not cost the visitor the whole answer.
            fields.append((lower.encode("latin-1"), value.encode("latin-1", "replace")))
    return fields


def _add(headers: dict[str, str], name: str, value: str) -> None:
    """Add a field. Of `host`, the first counts: `:authority` comes before all others."""
    if name not in headers:
        headers[name] = value
    elif name == "cookie":
        # HTTP/2 may send each cookie in a field of its own (RFC 9113, section 8.2.3).
        headers[name] = f"{headers[name]}; {value}"
    elif name != "host":
        headers[name] = f"{headers[name]}, {value}"
