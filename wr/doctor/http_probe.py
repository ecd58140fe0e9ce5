"""HTTP as a stranger speaks it: one request, one answer, no redirect followed, no proxy used."""

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import msgspec

_PART_S = 5.0
_WHOLE_S = 15.0
_MOST_BYTES = 1 << 20
_LEFT_AS_THEY_ARE = "%/:?[]@!$&'()*+,;=~-._"

Message = TypeVar("Message", bound=msgspec.Struct)


class NoAnswer(Exception):
    """Nothing that speaks HTTP answered in time; the message says why."""


class NoCertificate(NoAnswer):
    """What answers cannot prove that it is who it should be."""


@dataclass(frozen=True)
class ProbeAnswer:
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


def read_url(url: str) -> SplitResult:
    """Read the address of something that speaks HTTP.

    Raises:
        ValueError: it is not an http or https URL.
    """
    try:
        parts = urlsplit(url)
        # A port is looked at when it is asked for, and not before.
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good:
        raise ValueError(f"'{url}' is not an http or https URL")
    return parts


def led_to(url: str, location: str) -> str:
    """Name where an answer from `url` leads, whatever it says; empty when that is nowhere to ask."""
    try:
        return read_url(urljoin(url, location)).geturl()
    except ValueError:
        return ""


def ask(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    tls: ssl.SSLContext | None = None,
    within_s: float = _WHOLE_S,
) -> ProbeAnswer:
    """Ask once. Each part of the answer may take 5 s, all of it `within_s`; of its body 1 MiB is read.

    `tls` says whom to believe; unless given, whom the system believes.

    Raises:
        NoCertificate, NoAnswer: there is no answer, or nobody can be asked at such an address.
    """
    try:
        parts = read_url(url)
        with _connected(parts, tls, within_s) as connection:
            target = quote(
                (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), _LEFT_AS_THEY_ARE
            )
            connection.request(method, target, body, {"User-Agent": "wr-doctor", **(headers or {})})
            # Before the answer is taken: at the end of it the connection may be gone.
            end = _certificate_end(connection)
            response = connection.getresponse()
            found: dict[str, tuple[str, ...]] = {}
            for name, value in response.getheaders():
                found[name.lower()] = (*found.get(name.lower(), ()), value)
            return ProbeAnswer(response.status, found, response.read(_MOST_BYTES), end)
    except ssl.SSLError as error:
        raise NoCertificate(getattr(error, "verify_message", "") or error.reason or str(error)) from error
    # What cannot be spelled in a request, or as a name to look up, is a ValueError.
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswer(_reason(error)) from error


@contextmanager
def _connected(
    parts: SplitResult, tls: ssl.SSLContext | None, within_s: float
) -> Iterator[http.client.HTTPConnection]:
    """Connect; after `within_s` whatever is under way ends with a TimeoutError."""
    is_https = parts.scheme == "https"
    port = parts.port or (443 if is_https else 80)
    host = parts.hostname or ""
    connection = (http.client.HTTPSConnection if is_https else http.client.HTTPConnection)(host, port)
    plain = socket.create_connection((host, port), timeout=_PART_S)
    with plain, _wrapped(plain, tls, host) if is_https else plain as connected:
        is_late = threading.Event()

        def give_up() -> None:
            is_late.set()
            # Past what TLS would do about it: the thread that reads is not to find half of it taken down.
            with suppress(OSError):
                socket.socket.shutdown(connected, socket.SHUT_RDWR)

        timer = threading.Timer(within_s, give_up)
        timer.daemon = True
        timer.start()
        try:
            if isinstance(connected, ssl.SSLSocket):
                connected.do_handshake()
            connection.sock = connected
            yield connection
        except (OSError, http.client.HTTPException) as error:
            if is_late.is_set():
                raise TimeoutError from error
            raise
        finally:
            timer.cancel()
            connection.close()
        if is_late.is_set():
            raise TimeoutError


def _wrapped(plain: socket.socket, tls: ssl.SSLContext | None, host: str) -> ssl.SSLSocket:
    context = tls or ssl.create_default_context()
    return context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)


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
