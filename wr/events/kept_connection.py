"""A connection to the receiver of webhooks, used for one request after the other: httpcore speaks HTTP on it.

httpcore connects through a network backend. The one here connects only to addresses that its caller has
checked, so a name cannot lead to another address between the check and the connection. The rest of an answer,
after its head, is read when the next request wants the connection: until then nothing waits for it.

httpcore's own pool is not used. It cannot end a connection after a fixed time, so it would not check the
addresses of a name again, and with 64 busy connections it took 6 ms of processor time for each request.
"""

import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence

import h11
import httpcore
import trio

from wr.events.dns_cache import Address
from wr.events.happy_eyeballs import connect
from wr.events.requesting import RequestFailure

_CHUNK = 16 * 1024
_LONGEST_PART = 64 * 1024
"""How many bytes are read of the head of an answer, and as many of its rest. With more to come, the head is a
failure, and the rest ends the connection."""

FindAddresses = Callable[[str, int], Awaitable[Sequence[Address]]]
"""Takes a host and a port, and returns the addresses that may be called; may raise any exception."""


class KeptConnection:
    """One connection. Its owner closes it, also after a failure."""

    def __init__(
        self, scheme: str, host: bytes, port: int, tls: ssl.SSLContext | None, find_addresses: FindAddresses
    ) -> None:
        self._network = _PinnedNetwork(find_addresses)
        self._http = httpcore.AsyncHTTPConnection(
            httpcore.Origin(scheme.encode(), host, port), tls, network_backend=self._network
        )
        self._url = httpcore.URL(scheme=scheme, host=host, port=port, target=b"/")
        self._answer: httpcore.Response | None = None

    async def post(self, target: str, headers: Sequence[tuple[str, str]], body: bytes) -> int:
        """Send a request, on a new connection if there is none yet, and return the status of its answer.

        Raises:
            RequestFailure: what came is not an answer to this request, or the request cannot be sent.
            OSError, trio.BrokenResourceError: the connection or TLS failed.
            Exception: whatever `find_addresses` raises, and `happy_eyeballs.connect`.
        """
        try:
            url = httpcore.URL(
                scheme=self._url.scheme, host=self._url.host, port=self._url.port, target=target
            )
            request = httpcore.Request("POST", url, headers=list(headers), content=body)
            self._answer = await self._http.handle_async_request(request)
        except httpcore.ProtocolError as error:
            stream = self._network.stream
            has_ended = stream is not None and stream.has_ended
            message = "the connection was closed without an answer" if has_ended else str(error)
            raise RequestFailure(message) from error
        except (TypeError, UnicodeError) as error:
            raise RequestFailure("the URL or a header cannot be sent") from error
        if self._network.stream is None or not self._network.stream.has_read:
            # It came together with the answer before: some receivers say that they close the connection.
            raise RequestFailure("the receiver answered before it was asked")
        return self._answer.status

    @property
    def may_be_kept(self) -> bool:
        """Whether another request may follow once the rest of the answer has come."""
        answer = self._answer
        return (
            answer is not None
            and answer.extensions["http_version"] == b"HTTP/1.1"
            and not any(
                name.lower() == b"connection" and b"close" in value.lower() for name, value in answer.headers
            )
        )

    async def is_free_again(self, patience_s: float) -> bool:
        """Read the rest of the answer, if it is short and comes in time; whether another request may follow.

        No request may follow if the receiver has sent more than the answer: a message that it sends before it
        closes an idle connection would be taken for the answer to a request that it never read.
        """
        answer, stream = self._answer, self._network.stream
        if answer is None or stream is None:
            return False
        stream.left_bytes = _LONGEST_PART
        try:
            with trio.move_on_after(patience_s):
                async for _ in answer.aiter_stream():
                    pass
                await answer.aclose()
                # Expired means that the socket is readable.
                return self._http.is_idle() and not self._http.has_expired() and not self._has_surplus()
        except (OSError, trio.BrokenResourceError, httpcore.ProtocolError):
            return False
        return False

    def _has_surplus(self) -> bool:
        """Whether bytes came after the answer. httpcore does not tell, so its parser is asked."""
        parser = getattr(getattr(self._http, "_connection", None), "_h11_state", None)
        return not isinstance(parser, h11.Connection) or parser.trailing_data != (b"", False)

    def close(self) -> None:
        """Close the connection at once, without waiting: a cancelled task cannot wait."""
        if self._network.stream is not None:
            self._network.stream.close()


class _PinnedNetwork(httpcore.AsyncNetworkBackend):
    """Makes the one connection, to an address that may be called."""

    def __init__(self, find_addresses: FindAddresses) -> None:
        self._find_addresses = find_addresses
        self.stream: _PinnedStream | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        del timeout, local_address, socket_options
        self.stream = _PinnedStream(await connect(await self._find_addresses(host, port)))
        return self.stream


class _PinnedStream(httpcore.AsyncNetworkStream):
    """The bytes of the connection. The caller limits how long all of it may take, not httpcore."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._socket = stream.socket
        self._plain = stream
        self._stream: trio.abc.Stream = stream
        self._unsent = b""
        self.has_read = False
        """Whether anything came since the last request was written."""
        self.has_ended = False
        self.left_bytes = _LONGEST_PART
        """How many more bytes may be read of this part of the answer."""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        del timeout
        if self._unsent:
            # Head and body of the request leave together.
            unsent, self._unsent = self._unsent, b""
            await self._stream.send_all(unsent)
        if self.left_bytes <= 0:
            raise trio.BrokenResourceError("the answer is too long")
        received = bytes(await self._stream.receive_some(min(max_bytes, _CHUNK)))
        self.left_bytes -= len(received)
        self.has_read = True
        self.has_ended = not received
        return received

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        del timeout
        self._unsent += buffer
        self.has_read = False
        self.left_bytes = _LONGEST_PART

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        del timeout
        secured = trio.SSLStream(
            self._plain, ssl_context, server_hostname=server_hostname, https_compatible=True
        )
        self._stream = secured
        await secured.do_handshake()
        return self

    def get_extra_info(self, info: str) -> object:
        return self._socket.is_readable() if info == "is_readable" else None
