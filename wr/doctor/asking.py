"""HTTP as a stranger speaks it: one request, one answer, no redirect followed, no proxy used."""

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

_ANSWER_S = 5.0
_MOST_BYTES = 1 << 20

Message = TypeVar("Message", bound=msgspec.Struct)


class NoAnswer(Exception):
    """Nothing that speaks HTTP answered in time; the message says why."""


class NoCertificate(NoAnswer):
    """What answers cannot prove that it is who it should be."""


@dataclass(frozen=True)
class Answer:
    """What was answered. Of headers that come several times, all values, in one row."""

    status: int
    headers: Mapping[str, tuple[str, ...]]
    """By name in lower case."""
    body: bytes
    certificate_end: str = ""
    """Until when the certificate is valid, as OpenSSL writes it; empty without TLS."""

    def header(self, name: str) -> str:
        """Give the first value of a header; empty when it is not there."""
        return (*self.headers.get(name.lower(), ()), "")[0]

    def read(self, kind: type[Message]) -> Message | None:
        """Read the body as a message; None when it is none of that kind."""
        try:
            return msgspec.json.decode(self.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None


def ask(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """Ask once. An answer may take 5 s for each of its parts, and of its body 1 MiB is read.

    `tls` says whom to believe; unless given, whom the system believes.

    Raises:
        NoCertificate, NoAnswer: there is no answer.
        ValueError: it is not an http or https URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"'{url}' is not an http or https URL")
    connection = (
        http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=_ANSWER_S, context=tls or ssl.create_default_context()
        )
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.hostname, parts.port, timeout=_ANSWER_S)
    )
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, body, {"User-Agent": "wr-doctor", **(headers or {})})
        # Before the answer is taken: at the end of it the connection may be gone.
        end = _certificate_end(connection)
        response = connection.getresponse()
        found: dict[str, tuple[str, ...]] = {}
        for name, value in response.getheaders():
            found[name.lower()] = (*found.get(name.lower(), ()), value)
        return Answer(response.status, found, response.read(_MOST_BYTES), end)
    except ssl.SSLError as error:
        raise NoCertificate(getattr(error, "verify_message", "") or error.reason or str(error)) from error
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(_reason(error)) from error
    finally:
        connection.close()


def _certificate_end(connection: http.client.HTTPConnection) -> str:
    if not isinstance(connection.sock, ssl.SSLSocket):
        return ""
    # Nothing is told of a certificate that was not checked.
    return str((connection.sock.getpeercert() or {}).get("notAfter", ""))


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
