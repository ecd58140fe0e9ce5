"""Checks of the NATS servers to which events are published."""

import socket
from urllib.parse import urlsplit

import msgspec

from wr.doctor.finding import Finding, good, unsure

_PATIENCE_S = 3.0
_LONGEST_GREETING = 64 * 1024
_PORT = 4222
_FIX = "start it with JetStream (`nats-server -js`), or correct --nats-url; events are kept meanwhile"


class _Greeting(msgspec.Struct):
    """What a NATS server sends to every new client."""

    version: str = "of unknown version"
    jetstream: bool = False


def check_nats(url: str) -> list[Finding]:
    """Check that each NATS server of the setting answers and has JetStream. Does not log in.

    No finding is an error: without NATS the server starts and serves visitors all the same.
    """
    return [_check(server.strip()) for server in url.split(",") if server.strip()]


def _check(url: str) -> Finding:
    parts = urlsplit(url)
    place = f"{parts.hostname}:{parts.port or _PORT}"
    try:
        greeting = _greeting(parts.hostname or "", parts.port or _PORT)
    except OSError as error:
        return unsure("NATS", f"{place} does not answer: {error.strerror or error}", _FIX)
    if greeting is None:
        return unsure("NATS", f"the server at {place} is not a NATS server", _FIX)
    if not greeting.jetstream:
        return unsure("NATS", f"{place} is NATS {greeting.version} without JetStream", _FIX)
    return good("NATS", f"{place} is NATS {greeting.version} with JetStream")


def _greeting(host: str, port: int) -> _Greeting | None:
    """Read the first line of a NATS server, which is unencrypted even with TLS; None from any other
    server."""
    with socket.create_connection((host, port), timeout=_PATIENCE_S) as connection:
        line = connection.makefile("rb").readline(_LONGEST_GREETING)
    if not line.startswith(b"INFO "):
        return None
    try:
        return msgspec.json.decode(line[len(b"INFO ") :], type=_Greeting)
    except msgspec.DecodeError:
        return None
