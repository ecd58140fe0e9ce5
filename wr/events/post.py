"""One HTTP POST to somebody else's server: h11 on a Trio stream, to an address that may be called."""

import ssl
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

import h11
import trio

from wr.model.client_address import Network

_CHUNK = 16 * 1024
_PORTS = {"http": 80, "https": 443}


class PostFailure(Exception):
    """There was no answer; the message says why, in words for the operator."""


class Posting(Protocol):
    """What a courier needs of whoever posts."""

    async def __call__(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> int:
        """Post and return the status of the answer; raises `PostFailure`."""
        ...


class Poster:
    """Posts, each time over a connection of its own. Follows no redirect, and no proxy of the environment.

    Where a host's name leads is looked up here and checked before it is called, so that a name that leads
    elsewhere the second time gains nothing. Certificates are verified.
    """

    def __init__(self, forbidden: Sequence[Network], *, timeout_s: float) -> None:
        self._forbidden = forbidden
        self._timeout_s = timeout_s
        self._tls: ssl.SSLContext | None = None

    async def __call__(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> int:
        """Post `body`, and return the status of the answer; what else it says is not read.

        Raises:
            PostFailure: no answer in time, no connection, or an address that must not be called.
        """
        target = urlsplit(url)
        try:
            with trio.fail_after(self._timeout_s):
                stream = await self._open(target)
                try:
                    return await _exchange(stream, _request(target, headers, body), body)
                finally:
                    await trio.aclose_forcefully(stream)
        except trio.TooSlowError as error:
            raise PostFailure(f"no answer in {self._timeout_s:g} s") from error
        except ssl.SSLError as error:
            raise PostFailure(f"TLS: {error}") from error
        except (OSError, trio.BrokenResourceError, h11.ProtocolError) as error:
            raise PostFailure(_reason(error)) from error

    async def _open(self, target: SplitResult) -> trio.abc.Stream:
        host = target.hostname or ""
        last: OSError | None = None
        for address, port in await self._addresses(host, target.port or _PORTS[target.scheme]):
            try:
                stream: trio.abc.Stream = await trio.open_tcp_stream(address, port)
            except OSError as error:
                last = error
                continue
            if target.scheme == "http":
                return stream
            tls = await self._tls_context()
            return trio.SSLStream(stream, tls, server_hostname=host, https_compatible=True)
        raise PostFailure(_reason(last))

    async def _addresses(self, host: str, port: int) -> list[tuple[str, int]]:
        """Look up where to call; without those that must not be called."""
        found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        allowed = [(address, port) for address in addresses if not self._is_forbidden(address)]
        if not allowed:
            raise PostFailure(f"{host} is at {', '.join(addresses)}, which must not be called")
        return allowed

    def _is_forbidden(self, text: str) -> bool:
        address = ip_address(text.partition("%")[0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._forbidden)

    async def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            # Reading the certificate authorities takes some 20 ms.
            self._tls = await trio.to_thread.run_sync(ssl.create_default_context)
        return self._tls


def _request(target: SplitResult, headers: Sequence[tuple[str, str]], body: bytes) -> h11.Request:
    path = target.path or "/"
    return h11.Request(
        method="POST",
        target=f"{path}?{target.query}" if target.query else path,
        headers=[
            ("Host", target.netloc),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
            *headers,
        ],
    )


async def _exchange(stream: trio.abc.Stream, request: h11.Request, body: bytes) -> int:
    connection = h11.Connection(h11.CLIENT)
    await stream.send_all(
        connection.send(request) + connection.send(h11.Data(data=body)) + connection.send(h11.EndOfMessage())
    )
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(bytes(await stream.receive_some(_CHUNK)))
        elif isinstance(event, h11.Response):
            return event.status_code
        elif isinstance(event, h11.ConnectionClosed):
            raise PostFailure("the connection was closed without an answer")


def _reason(error: BaseException | None) -> str:
    if error is None:
        return "no address to call"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error.__cause__ or error) or type(error).__name__
