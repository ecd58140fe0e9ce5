"""Readers that turn the text of a setting into its value. Each raises `ValueError` with what is allowed."""

from typing import Any
from urllib.parse import urlsplit

from wr.model.signing import Algorithm


def origin(text: str) -> str:
    """Read an origin and spell it as browsers do. Empty text stays empty."""
    if not text:
        return ""
    parts = urlsplit(text)
    is_origin = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    if not is_origin or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"'{text}' is not an origin such as https://wait.example.com")
    # Browsers spell an origin in lower case and without the default port of its scheme.
    usual = {"http": 80, "https": 443}[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return (
        f"{parts.scheme}://{host}" if parts.port in (None, usual) else f"{parts.scheme}://{host}:{parts.port}"
    )


def origins(text: str) -> tuple[str, ...]:
    """Read origins separated by commas. `*` means all origins."""
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    return tuple(part if part == "*" else origin(part) for part in parts)


def boolean(text: str) -> bool:
    """Read yes or no, in the usual spellings (1, true, on; 0, false, off)."""
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("", "0", "false", "no", "off"):
        return False
    raise ValueError(f"'{text}' is neither yes nor no")


def on_or_off(text: str) -> bool:
    """Read on or off.

    Same as `boolean`, but the setting is an option with a value, not a switch: its default may be on.
    """
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
        raise ValueError("0 is not a whole number from 1")
    return int(text)


def split_bind(bind: str) -> tuple[str, int]:
    """Split an address to listen on into host and port. An IPv6 host loses its brackets.

    Raises:
        ValueError: the text is not ADDRESS:PORT.
    """
    host, _, port = bind.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"'{bind}' is not ADDRESS:PORT, such as 127.0.0.1:8080")
    return host.strip("[]"), int(port)


def bind(text: str) -> str:
    """Check an address to listen on. The value stays text."""
    split_bind(text)
    return text


def nats_url(text: str) -> str:
    """Check the addresses of NATS servers, separated by commas. The value stays text."""
    for server in filter(None, text.split(",")):
        # The URL may contain a password, so no message repeats it or the library's own message.
        try:
            parts = urlsplit(server.strip())
            is_address = bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_address = False
        if is_address and parts.scheme in ("ws", "wss"):
            raise ValueError("NATS over WebSocket is not supported: use nats:// or tls://")
        if not is_address or parts.scheme not in ("nats", "tls"):
            raise ValueError("not a URL such as nats://host:4222; a port must be from 1 to 65535")
    return text


def choice(*choices: str) -> Any:
    """Return a reader that accepts only these words."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"'{text}' is not one of {', '.join(choices)}")
        return text

    return read


def log_level(text: str) -> str:
    """Read a log level, in upper or lower case. Also accepts `trace`, `warn`, `critical` and `fatal`."""
    spelled = text.strip().lower()
    levels = {"trace": "debug", "warn": "warning", "critical": "error", "fatal": "error"}
    level = levels.get(spelled, spelled)
    if level not in ("debug", "info", "warning", "error"):
        raise ValueError(f"'{text}' is not one of debug, info, warning, error")
    return level


def algorithm(text: str) -> Algorithm:
    """Read the name of a signing algorithm."""
    return Algorithm(choice(*Algorithm)(text))
