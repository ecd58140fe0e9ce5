"""Checks of the NATS server that events are published to."""

import socket
from urllib.parse import urlsplit

import msgspec

from wr.doctor.finding import Finding, good, unsure

_PATIENCE_S = 3.0
_LONGEST_GREETING = 64 * 1024
_PORT = 4222
_MEND = "start it with JetStream (`nats-server -js`), or correct --nats-url; until then events are only kept"


class _Greeting(msgspec.Struct):
    """What a NATS server says of itself, to whoever connects."""

    version: str = "of unknown version"
    jetstream: bool = False


def check_nats(url: str) -> list[Finding]:
    """Check each NATS server of the setting: that it answers and has JetStream. Logs in nowhere.

    Nothing here is bad: a server starts without NATS, and people are served all the same.
    """
    return [_check(server.strip()) for server in url.split(",") if server.strip()]


def _check(url: str) -> Finding:
    parts = urlsplit(url)
    place = f"{parts.hostname}:{parts.port or _PORT}"
    try:
        greeting = _greeting(parts.hostname or "", parts.port or _PORT)
    except OSError as error:
        return unsure("NATS", f"{place} does not answer: {error.strerror or error}", _MEND)
    if greeting is None:
        return unsure("NATS", f"what answers at {place} is no NATS server", _MEND)
    if not greeting.jetstream:
        return unsure("NATS", f"{place} is NATS {greeting.version} without JetStream", _MEND)
    return good("NATS", f"{place} is NATS {greeting.version} with JetStream")


def _greeting(host: str, port: int) -> _Greeting | None:
    """Read the line with which a NATS server begins, with TLS or without; None when it is another one's."""
    with socket.create_connection((host, port), timeout=_PATIENCE_S) as connection:
        line = connection.makefile("rb").readline(_LONGEST_GREETING)
    if not line.startswith(b"INFO "):
        return None
    try:
        return msgspec.json.decode(line[len(b"INFO ") :], type=_Greeting)
    except msgspec.DecodeError:
        return None
