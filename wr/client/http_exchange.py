"""One HTTP request to a server and its answer, for the commands: the calls of the admin API and the checks of
`wr doctor` share how they connect, how long they wait, and what they verify.

It follows no redirect and uses no proxy of the environment: what it sends, such as the admin key, is meant
for one server. `httpcore` speaks HTTP; this module gives it a network backend that keeps a deadline for the
whole exchange and reads the server's certificate.
"""

import math
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar
from urllib.parse import SplitResult, quote, urlsplit

import httpcore
import msgspec

_PORTS = {"http": 80, "https": 443}
_METHODS_WITH_A_BODY = ("PATCH", "POST", "PUT")
_KEPT_IN_TARGETS = "%/:?[]@!$&'()*+,;=~-._"
"""Characters of a path and query that are sent as they are; others are percent-encoded."""
_FAILURES = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError)

Message = TypeVar("Message", bound=msgspec.Struct)


class NoAnswer(Exception):
    """No HTTP answer came in time; the message says why."""


class NoSecureConnection(NoAnswer):
    """TLS failed, most often because the certificate was not accepted; the message says why."""


class Patience(NamedTuple):
    """How long an exchange may take, in seconds."""

    connect_s: float
    """For connecting to an address, and as long again for setting up TLS."""
    part_s: float
    """For each wait until bytes are sent or received."""
    whole_s: float = math.inf
    """For everything together, once the name of the server is resolved."""


@dataclass(frozen=True)
class HttpAnswer:
    """The answer of a server."""

    status: int
    headers: Mapping[str, tuple[str, ...]]
    """By name in lower case; a header that came several times has several values."""
    body: bytes
    certificate_end: str = ""
    """When the server's certificate expires, as OpenSSL writes it; empty if none was verified."""

    def header(self, name: str) -> str:
        """Return the first value of a header; empty if the header is missing."""
        return (*self.headers.get(name.lower(), ()), "")[0]

    def read(self, kind: type[Message]) -> Message | None:
        """Read the body as a message; None if it is not one of that kind."""
        try:
            return msgspec.json.decode(self.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None


def read_url(url: str) -> SplitResult:
    """Read an http or https URL.

    Raises:
        ValueError: it is something else.
    """
    try:
        parts = urlsplit(url)
        # `urlsplit` checks the port only when it is read.
        is_good = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good:
        raise ValueError(f"'{url}' is not an http or https URL")
    return parts


def exchange(
    url: str,
    *,
    patience: Patience,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    tls: ssl.SSLContext | None = None,
    most_bytes: float = math.inf,
) -> HttpAnswer:
    """Send one request on a connection of its own and read the answer, at most `most_bytes` of its body.

    `tls` decides which certificates are accepted; without it, those that the system trusts.

    Raises:
        NoSecureConnection, NoAnswer: there is no answer, or no request can be sent to such a URL.
    """
    try:
        parts = read_url(url)
        host = (parts.hostname or "").encode("idna")
        port = parts.port or _PORTS[parts.scheme]
        target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), _KEPT_IN_TARGETS)
        request = httpcore.Request(
            method,
            httpcore.URL(scheme=parts.scheme, host=host, port=port, target=target),
            headers=_header_fields(parts.scheme, host, port, method, headers or {}, body),
            content=body,
        )
        network = _Network(patience)
        if parts.scheme == "https" and tls is None:
            tls = ssl.create_default_context()
        with httpcore.HTTPConnection(request.url.origin, tls, network_backend=network) as connection:
            return _read(connection.handle_request(request), network, most_bytes)
    except _FAILURES as error:
        if isinstance(error.__cause__, ssl.SSLError):
            raise NoSecureConnection(_tls_reason(error.__cause__)) from error
        raise NoAnswer(_reason(error)) from error
    # The host, the target or a header has characters that cannot be sent.
    except ValueError as error:
        raise NoAnswer(str(error)) from error


class _Network(httpcore.SyncBackend):
    """Opens the connection of one exchange; no wait goes past the deadline of the whole."""

    def __init__(self, patience: Patience) -> None:
        super().__init__()
        self.patience = patience
        self._until_s = time.monotonic() + patience.whole_s
        self.certificate_end = ""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect; the patience of this exchange counts, not `timeout`."""
        del timeout
        return _Stream(
            super().connect_tcp(
                host, port, self.left_s(self.patience.connect_s), local_address, socket_options or ()
            ),
            self,
        )

    def left_s(self, most_s: float) -> float:
        """How long the next wait may take.

        Raises:
            httpcore.ReadTimeout: the deadline has passed.
        """
        left_s = min(most_s, self._until_s - time.monotonic())
        if left_s <= 0:
            raise httpcore.ReadTimeout("no answer in time")
        return left_s


class _Stream(httpcore.NetworkStream):
    """A connection whose waits end as `_Network` says; the timeouts that httpcore passes do not count."""

    def __init__(self, stream: httpcore.NetworkStream, network: _Network) -> None:
        self._stream = stream
        self._network = network
        self._unsent = b""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del timeout
        if self._unsent:
            # Head and body of the request leave together.
            self._stream.write(self._unsent, self._network.left_s(self._network.patience.part_s))
            self._unsent = b""
        return self._stream.read(max_bytes, self._network.left_s(self._network.patience.part_s))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        self._unsent += buffer

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        del timeout
        left_s = self._network.left_s(self._network.patience.connect_s)
        secured = self._stream.start_tls(ssl_context, server_hostname, left_s)
        # A certificate that was not verified is given as an empty dictionary.
        certificate = secured.get_extra_info("ssl_object").getpeercert() or {}
        self._network.certificate_end = str(certificate.get("notAfter", ""))
        return _Stream(secured, self._network)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


def _header_fields(
    scheme: str, host: bytes, port: int, method: str, headers: Mapping[str, str], body: bytes | None
) -> list[tuple[bytes, bytes]]:
    """List the headers of a request: those that every request needs, then `headers`."""
    name = b"[%b]" % host if b":" in host else host
    fields = [(b"Host", name if port == _PORTS[scheme] else b"%b:%d" % (name, port))]
    fields.append((b"Accept-Encoding", b"identity"))
    if body is not None or method in _METHODS_WITH_A_BODY:
        fields.append((b"Content-Length", b"%d" % len(body or b"")))
    return fields + [(key.encode("ascii"), value.encode("latin-1")) for key, value in headers.items()]


def _read(response: httpcore.Response, network: _Network, most_bytes: float) -> HttpAnswer:
    headers: dict[str, tuple[str, ...]] = {}
    for name, value in response.headers:
        key = name.decode("ascii").lower()
        headers[key] = (*headers.get(key, ()), value.decode("latin-1"))
    body = bytearray()
    for piece in response.iter_stream():
        body += piece
        if len(body) >= most_bytes:
            del body[int(most_bytes) :]
            break
    return HttpAnswer(response.status, headers, bytes(body), network.certificate_end)


def _tls_reason(error: ssl.SSLError) -> str:
    return getattr(error, "verify_message", "") or error.reason or str(error)


def _reason(error: Exception) -> str:
    if isinstance(error, httpcore.TimeoutException):
        return "no answer in time"
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(error) or type(error).__name__
