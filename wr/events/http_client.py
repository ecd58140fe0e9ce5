"""One HTTP POST to somebody else's server: h11 on a Trio stream, to an address that may be called."""

import ssl
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol
from urllib.parse import SplitResult, urlsplit

import h11
import trio

from wr.events.dns_cache import DnsCache, NameNotFound
from wr.events.happy_eyeballs import NoConnection, connect
from wr.model.client_address import Network
from wr.model.webhook_address_policy import is_forbidden

_CHUNK = 16 * 1024
_PORTS = {"http": 80, "https": 443}
_OLDEST_S = 60.0
"""How long a connection is used: then the name is looked up and checked anew."""
_MOST_KEPT = 64
_LONGEST_REST = 64 * 1024
"""Of what an answer says beside its status: a connection with more to come is not used again."""
_REST_S = 0.05
"""How long the next event waits for that rest: no longer than a connection of its own may take."""
_SWEEP_S = 5.0


class RequestFailure(Exception):
    """There was no answer; the message says why, in words for the operator."""


class Requesting(Protocol):
    """What a courier needs of whoever posts."""

    async def __call__(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> int:
        """Post and return the status of the answer; raises `RequestFailure`."""
        ...

    async def keep(self) -> None:
        """Keep connections between posts for as long as this runs, until cancelled."""
        ...


class _Origin(NamedTuple):
    """Whom a connection is with: what was checked when it was made holds for this name, and for no other."""

    scheme: str
    host: str
    port: int


class _Line:
    """A connection to a receiver, and how far the conversation is."""

    def __init__(
        self, origin: _Origin, socket: trio.socket.SocketType, stream: trio.abc.Stream, opened_s: float
    ) -> None:
        self.origin = origin
        self.opened_s = opened_s
        self._socket = socket
        self._stream = stream
        self._http = h11.Connection(h11.CLIENT)

    async def exchange(self, request: h11.Request, body: bytes) -> int:
        """Send a request and return the status of its answer."""
        send = self._http.send
        await self._stream.send_all(send(request) + send(h11.Data(data=body)) + send(h11.EndOfMessage()))
        while True:
            event = await self._next()
            if isinstance(event, h11.Response):
                return event.status_code

    @property
    def may_be_kept(self) -> bool:
        """Whether another request may follow once the rest of the answer has come."""
        return self._http.our_state is h11.DONE

    async def is_free_again(self) -> bool:
        """Read the rest of the answer, if it is short and there by now; whether another request may follow.

        None may where more came than the answer: what a receiver says before it closes a connection that lay
        idle would be taken for the answer to what it has never read.
        """
        with trio.move_on_after(_REST_S):
            read = 0
            while read <= _LONGEST_REST:
                event = await self._next()
                if isinstance(event, h11.Data):
                    read += len(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    break
            if not self.may_be_kept or self._http.their_state is not h11.DONE:
                return False
            if self._http.trailing_data != (b"", False) or self._socket.is_readable():
                return False
            self._http.start_next_cycle()
            return True
        return False

    def close(self) -> None:
        """Close it at once: there is nothing left to say, and whoever is cancelled cannot wait."""
        self._socket.close()

    async def _next(self) -> object:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            received = bytes(await self._stream.receive_some(_CHUNK))
            if not received and self._http.their_state is h11.SEND_RESPONSE:
                raise _Closed("the connection was closed without an answer")
            self._http.receive_data(received)


class _Closed(Exception):
    """The receiver closed the connection instead of answering."""


class HttpClient:
    """Posts, over connections that are kept for a minute. Follows no redirect, no proxy of the environment.

    Where a host's name leads is looked up here and checked before it is called, so that a name that leads
    elsewhere the second time gains nothing. Certificates are verified.
    """

    def __init__(
        self,
        forbidden: Sequence[Network],
        *,
        timeout_s: float,
        dns_cache: DnsCache | None = None,
        clock_s: Callable[[], float] = trio.current_time,
    ) -> None:
        self._forbidden = forbidden
        self._timeout_s = timeout_s
        self._dns_cache = dns_cache or DnsCache()
        self._clock_s = clock_s
        self._tls: ssl.SSLContext | None = None
        self._kept: list[_Line] = []
        """Those that nobody uses just now, the one that was used last at the end."""
        self._keeps = False

    async def __call__(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> int:
        """Post `body`, and return the status of the answer; what else it says is not heeded.

        Raises:
            PostFailure: no answer in time, no connection, or an address that must not be called.
        """
        target, origin = _read(url)
        request = _request(target, headers, body)
        try:
            with trio.fail_after(self._timeout_s):
                status, line = await self._answer(origin, request, body)
        except trio.TooSlowError as error:
            raise RequestFailure(f"no answer in {self._timeout_s:g} s") from error
        except ssl.SSLError as error:
            raise RequestFailure(f"TLS: {error}") from error
        except (OSError, trio.BrokenResourceError, h11.ProtocolError) as error:
            raise RequestFailure(_reason(error)) from error
        except (NameNotFound, NoConnection, _Closed) as error:
            raise RequestFailure(str(error)) from error
        # Nothing is waited for after that, the rest of the answer neither: to be cancelled meanwhile would be
        # as if there had been none.
        self._put_back(line)
        return status

    async def keep(self) -> None:
        """Keep connections between posts for as long as this runs, until cancelled."""
        self._keeps = True
        try:
            while True:
                await trio.sleep(_SWEEP_S)
                old = [line for line in self._kept if self._is_old(line)]
                self._kept = [line for line in self._kept if not self._is_old(line)]
                for line in old:
                    line.close()
        finally:
            self._keeps = False
            kept, self._kept = self._kept, []
            for line in kept:
                line.close()

    async def _answer(self, origin: _Origin, request: h11.Request, body: bytes) -> tuple[int, _Line]:
        kept = await self._take(origin)
        if kept is not None:
            try:
                return await self._over(kept, request, body), kept
            except (OSError, trio.BrokenResourceError, h11.RemoteProtocolError, _Closed):
                # The receiver may close what it has not used for a while at any time, and says so by closing.
                # What it has taken all the same comes a second time, as events may.
                self._drop(origin)
        line = await self._open(origin)
        return await self._over(line, request, body), line

    async def _over(self, line: _Line, request: h11.Request, body: bytes) -> int:
        """Exchange, and close the line when that fails; those that are kept beside it, too, when it hung."""
        has_answered = False
        try:
            status = await line.exchange(request, body)
            has_answered = True
        except trio.Cancelled:
            self._drop(line.origin)
            raise
        finally:
            if not has_answered:
                line.close()
        return status

    async def _open(self, origin: _Origin) -> _Line:
        opened_s = self._clock_s()
        found = await self._dns_cache.addresses(origin.host, origin.port)
        allowed = [address for address in found if not is_forbidden(address.host, self._forbidden)]
        if not allowed:
            places = ", ".join(dict.fromkeys(address.host for address in found))
            raise RequestFailure(f"{origin.host} is at {places}, which must not be called")
        # Read before there is a connection that a cancellation would leave open.
        tls = await self._tls_context() if origin.scheme == "https" else None
        connection = await connect(allowed)
        if tls is None:
            return _Line(origin, connection.socket, connection, opened_s)
        stream = trio.SSLStream(connection, tls, server_hostname=origin.host, https_compatible=True)
        return _Line(origin, connection.socket, stream, opened_s)

    async def _take(self, origin: _Origin) -> _Line | None:
        """Take the kept line to a receiver that was used last, if it is free; None where there is none."""
        line = self._last_used(origin)
        if line is None:
            return None
        is_free = False
        try:
            is_free = await line.is_free_again()
        except (OSError, trio.BrokenResourceError, h11.RemoteProtocolError):
            is_free = False
        finally:
            if not is_free:
                line.close()
        if not is_free:
            self._drop(origin)
            return None
        return line

    def _last_used(self, origin: _Origin) -> _Line | None:
        for place in reversed(range(len(self._kept))):
            line = self._kept[place]
            if line.origin == origin and not self._is_old(line):
                return self._kept.pop(place)
        return None

    def _put_back(self, line: _Line) -> None:
        if not self._keeps or not line.may_be_kept:
            line.close()
            return
        self._kept.append(line)
        if len(self._kept) > _MOST_KEPT:
            self._kept.pop(0).close()

    def _drop(self, origin: _Origin) -> None:
        """Close what is kept to a receiver: what has become of one connection, others of its age share."""
        dropped = [line for line in self._kept if line.origin == origin]
        self._kept = [line for line in self._kept if line.origin != origin]
        for line in dropped:
            line.close()

    def _is_old(self, line: _Line) -> bool:
        return self._clock_s() - line.opened_s >= _OLDEST_S

    async def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            # Reading the certificate authorities takes some 20 ms.
            self._tls = await trio.to_thread.run_sync(ssl.create_default_context)
        return self._tls


def _read(url: str) -> tuple[SplitResult, _Origin]:
    try:
        target = urlsplit(url)
        scheme = target.scheme
        return target, _Origin(scheme, target.hostname or "", target.port or _PORTS[scheme])
    except (ValueError, KeyError) as error:
        raise RequestFailure("the URL cannot be called") from error


def _request(target: SplitResult, headers: Sequence[tuple[str, str]], body: bytes) -> h11.Request:
    path = target.path or "/"
    return h11.Request(
        method="POST",
        target=f"{path}?{target.query}" if target.query else path,
        headers=[("Host", target.netloc), ("Content-Length", str(len(body))), *headers],
    )


def _reason(error: BaseException) -> str:
    cause = error.__cause__ or error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause) or type(cause).__name__
