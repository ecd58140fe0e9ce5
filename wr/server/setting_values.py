"""How values of settings are read from text; each reader raises `ValueError`, which says what it takes."""

from typing import Any
from urllib.parse import urlsplit

from wr.model.signing import Algorithm


def origin(text: str) -> str:
    """Read an origin, as browsers spell it; empty stays empty."""
    if not text:
        return ""
    parts = urlsplit(text)
    is_origin = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    if not is_origin or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"'{text}' is no origin such as https://wait.example.com")
    # As browsers spell it: in small letters, without the port that goes without saying.
    usual = {"http": 80, "https": 443}[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return (
        f"{parts.scheme}://{host}" if parts.port in (None, usual) else f"{parts.scheme}://{host}:{parts.port}"
    )


def origins(text: str) -> tuple[str, ...]:
    """Read origins separated by commas; `*` stands for all of them."""
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    return tuple(part if part == "*" else origin(part) for part in parts)


def boolean(text: str) -> bool:
    """Read a yes or a no."""
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("", "0", "false", "no", "off"):
        return False
    raise ValueError(f"'{text}' is neither yes nor no")


def on_or_off(text: str) -> bool:
    """As a switch that is on unless it is turned off, so it takes a word."""
    return boolean(text)


def seconds(text: str) -> float:
    """Read a number of seconds above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise ValueError(f"'{text}' is not a number of seconds above 0")
    return value


def seconds_or_none(text: str) -> float:
    """Read a number of seconds from 0."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise ValueError(f"'{text}' is not a number of seconds from 0")
    return value


def count(text: str) -> int:
    """Read a whole number from 0."""
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise ValueError(f"'{text}' is not a whole number from 0")
    return int(text)


def positive_count(text: str) -> int:
    """Read a whole number from 1."""
    if count(text) == 0:
        raise ValueError("0 would be none at all")
    return int(text)


def split_bind(bind: str) -> tuple[str, int]:
    """Split an address to listen on into host (an IPv6 one without its brackets) and port.

    Raises:
        ValueError: it is not ADDRESS:PORT.
    """
    host, _, port = bind.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"'{bind}' is not ADDRESS:PORT, such as 127.0.0.1:8080")
    return host.strip("[]"), int(port)


def bind(text: str) -> str:
    """Read an address to listen on, which stays text."""
    split_bind(text)
    return text


def nats_url(text: str) -> str:
    """Read the addresses of NATS servers, separated by commas; they stay text."""
    for server in filter(None, text.split(",")):
        # It may hold a password, so it is not repeated, and neither is what the library says of it.
        try:
            parts = urlsplit(server.strip())
            is_address = bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_address = False
        if is_address and parts.scheme in ("ws", "wss"):
            raise ValueError("NATS is not reached by WebSocket: give nats:// or tls://")
        if not is_address or parts.scheme not in ("nats", "tls"):
            raise ValueError("it is no URL such as nats://host:4222, with a port from 1 to 65535 if any")
    return text


def choice(*choices: str) -> Any:
    """Make a reader of one of these words."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"'{text}' is none of {', '.join(choices)}")
        return text

    return read


def log_level(text: str) -> str:
    """Read a level of the log, in any case; `trace`, `warn`, `critical` and `fatal` are understood too."""
    spelled = text.strip().lower()
    levels = {"trace": "debug", "warn": "warning", "critical": "error", "fatal": "error"}
    level = levels.get(spelled, spelled)
    if level not in ("debug", "info", "warning", "error"):
        raise ValueError(f"'{text}' is none of debug, info, warning, error")
    return level


def algorithm(text: str) -> Algorithm:
    """Read a signing algorithm's name."""
    return Algorithm(choice(*Algorithm)(text))
