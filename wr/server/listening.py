"""Prepares listening: the socket, TLS, the limits of connections, and the limit on open files."""

import resource
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from wr.http.connection_limits import ConnectionLimits
from wr.server.settings import Settings
from wr.server.startup import StartUpFailure

_MOST_FILES = 1_000_000
_LEAST_SHARE = 64
"""Connections that one address may hold on any server, even a small one: visitors behind a NAT share an
address."""
_FILES_KEPT = 100
"""File descriptors kept for other uses than connections: the store's sockets, the log, pipes of threads."""


def raise_open_files_limit() -> int:
    """Raise the soft limit on open files to the hard limit; the usual 1,024 is too low for a crowd.

    Returns the limit that holds now, at most a million.
    """
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    granted = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _MOST_FILES if granted == resource.RLIM_INFINITY else min(granted, _MOST_FILES)


def connection_limits(settings: Settings, files: int) -> ConnectionLimits:
    """Compute the limits of connections from the settings and the number of files that may be open."""
    most = settings.max_connections or max(1, files - _FILES_KEPT)
    return ConnectionLimits(
        most_connections=most,
        most_per_address=settings.connections_per_address or max(_LEAST_SHARE, most // 10),
        most_requests=settings.requests_per_connection,
        idle_patience_s=settings.idle_timeout,
        head_patience_s=settings.head_timeout,
        body_patience_s=settings.body_timeout,
        send_patience_s=settings.send_timeout,
    )


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Set up TLS if the settings name a certificate, else return None. Offers HTTP/2 only if it is on.

    Raises:
        StartUpFailure: the certificate or the key cannot be read.
    """
    if not settings.tls_certificate_file:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"] if settings.http2 == "off" else ["h2", "http/1.1"])
    try:
        context.load_cert_chain(settings.tls_certificate_file, settings.tls_key_file or None, password="")
    except OSError as error:
        files = f"{settings.tls_certificate_file} {settings.tls_key_file}".strip()
        raise StartUpFailure(f"tls_certificate_file {files}: {error}") from error
    return context


@asynccontextmanager
async def bound_socket(bind: str) -> AsyncIterator[socket.socket]:
    """Bind the address before any other part starts, so that a port in use fails the start at once.

    Raises:
        StartUpFailure: the address cannot be used.
    """
    host, _, port = bind.rpartition(":")
    host = host.strip("[]")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listener.bind((host, int(port)))
        except OSError as error:
            raise cannot_listen(bind, error) from error
        yield listener


def cannot_listen(bind: str, error: OSError) -> StartUpFailure:
    """Make the failure that names the address and the reason."""
    return StartUpFailure(f"cannot listen on {bind}: {error.strerror or error}")


def socket_url(listener: socket.socket, scheme: str) -> str:
    """Return the URL under which a client on this machine reaches the socket."""
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
