"""Posts events to the receivers of webhooks, on connections that are kept for a minute.

An operator may name any URL as a receiver, so the client protects the network that the server stands in: it
resolves a name itself, checks every address, and connects only to those that may be called. It follows no
redirect, uses no proxy of the environment, verifies certificates, and limits how long it waits and how much
it reads.

The parts that need httpcore are loaded with the first request: a server without webhooks does not pay for it.
"""

import ssl
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, urlsplit

import trio

from wr.events.dns_cache import Address, DnsCache, NameNotFound
from wr.events.happy_eyeballs import NoConnection
from wr.events.requesting import RequestFailure
from wr.model.client_address import Network
from wr.model.webhook_address_policy import is_forbidden

if TYPE_CHECKING:
    from wr.events.kept_connection import KeptConnection

_PORTS = {"http": 80, "https": 443}
_OLDEST_S = 60.0
"""How long a connection is used. After that, the addresses of its name are looked up and checked again."""
_MOST_KEPT = 64
_SWEEP_S = 5.0
REST_S = 0.05
"""How long a request waits for the rest of the answer before it, in seconds: as long as a new connection may
take."""


class _Origin(NamedTuple):
    """The server that a connection belongs to. Its address was checked for this name and no other."""

    scheme: str
    host: str
    port: int


class _Kept(NamedTuple):
    """A connection, the server that it belongs to, and when it was opened."""

    origin: _Origin
    opened_s: float
    connection: "KeptConnection"


class HttpClient:
    """Posts, and returns the status of each answer; see the top of this file for what it guards against."""

    def __init__(
        self,
        forbidden: Sequence[Network],
        *,
        timeout_s: float,
        dns_cache: DnsCache | None = None,
        clock_s: Callable[[], float] = trio.current_time,
        rest_s: float = REST_S,
    ) -> None:
        self._rest_s = rest_s
        self._forbidden = forbidden
        self._timeout_s = timeout_s
        self._dns_cache = dns_cache or DnsCache()
        self._clock_s = clock_s
        self._kind: type[KeptConnection] | None = None
        self._tls: ssl.SSLContext | None = None
        self._kept: list[_Kept] = []
        """The connection that was used last stands at the end."""
        self._keeps = False

    async def __call__(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> int:
        """Post `body` and return the status of the answer; the rest of the answer is ignored.

        Raises:
            RequestFailure: no answer came in time, there was no connection, or the address is forbidden.
        """
        parts, origin = _read(url)
        fields = [("Host", parts.netloc), ("Content-Length", str(len(body))), *headers]
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        try:
            with trio.fail_after(self._timeout_s):
                status, used = await self._post(origin, target, fields, body)
        except trio.TooSlowError as error:
            raise RequestFailure(f"no answer in {self._timeout_s:g} s") from error
        except ssl.SSLError as error:
            raise RequestFailure(f"TLS: {error}") from error
        except (OSError, trio.BrokenResourceError) as error:
            raise RequestFailure(_reason(error)) from error
        except (NameNotFound, NoConnection) as error:
            raise RequestFailure(str(error)) from error
        # From here on nothing is awaited, not even the rest of the answer: a cancellation would make the
        # caller send the event again, although the receiver has acknowledged it.
        self._put_back(used)
        return status

    async def keep(self) -> None:
        """Keep connections open between requests for as long as this runs, until cancelled."""
        self._keeps = True
        try:
            while True:
                await trio.sleep(_SWEEP_S)
                self._close_kept(self._is_old)
        finally:
            self._keeps = False
            self._close_kept(lambda _kept: True)

    async def _post(
        self, origin: _Origin, target: str, headers: Sequence[tuple[str, str]], body: bytes
    ) -> tuple[int, _Kept]:
        kept = await self._take(origin)
        if kept is not None:
            try:
                return await self._post_on(kept, target, headers, body), kept
            except (OSError, trio.BrokenResourceError, RequestFailure):
                # A receiver may close an idle connection at any time, also while a request is on its way. If
                # it has read the request all the same, it gets the event twice, which events allow for.
                self._close_kept(lambda other: other.origin == origin)
        opened = await self._open(origin)
        return await self._post_on(opened, target, headers, body), opened

    async def _post_on(
        self, used: _Kept, target: str, headers: Sequence[tuple[str, str]], body: bytes
    ) -> int:
        """Post on a connection; close it if that fails. If it timed out, close the kept ones beside it, too:
        they lead to the same server."""
        has_answered = False
        try:
            status = await used.connection.post(target, headers, body)
            has_answered = True
        except trio.Cancelled:
            self._close_kept(lambda other: other.origin == used.origin)
            raise
        finally:
            if not has_answered:
                used.connection.close()
        return status

    async def _open(self, origin: _Origin) -> _Kept:
        """Prepare a connection; it connects with its first request."""
        opened_s = self._clock_s()
        if self._kind is None:
            self._kind = await trio.to_thread.run_sync(_load)
        if origin.scheme == "https" and self._tls is None:
            # Reading the certificate authorities takes about 20 ms.
            self._tls = await trio.to_thread.run_sync(ssl.create_default_context)
        host = _encoded(origin.host)
        return _Kept(
            origin, opened_s, self._kind(origin.scheme, host, origin.port, self._tls, self._addresses)
        )

    async def _addresses(self, host: str, port: int) -> Sequence[Address]:
        """List the addresses of a host that may be called; at least one."""
        found = await self._dns_cache.addresses(host, port)
        allowed = [address for address in found if not is_forbidden(address.host, self._forbidden)]
        if not allowed:
            places = ", ".join(dict.fromkeys(address.host for address in found))
            raise RequestFailure(f"{host} is at {places}, which must not be called")
        return allowed

    async def _take(self, origin: _Origin) -> _Kept | None:
        """Take the connection to a server that was used last; None if there is none, or it is not free."""
        kept = self._last_used(origin)
        if kept is None:
            return None
        is_free = False
        try:
            is_free = await kept.connection.is_free_again(self._rest_s)
        finally:
            if not is_free:
                kept.connection.close()
        if not is_free:
            self._close_kept(lambda other: other.origin == origin)
            return None
        return kept

    def _last_used(self, origin: _Origin) -> _Kept | None:
        for place in reversed(range(len(self._kept))):
            kept = self._kept[place]
            if kept.origin == origin and not self._is_old(kept):
                return self._kept.pop(place)
        return None

    def _put_back(self, used: _Kept) -> None:
        if not self._keeps or not used.connection.may_be_kept:
            used.connection.close()
            return
        self._kept.append(used)
        if len(self._kept) > _MOST_KEPT:
            self._kept.pop(0).connection.close()

    def _close_kept(self, is_meant: Callable[[_Kept], bool]) -> None:
        for kept in self._kept:
            if is_meant(kept):
                kept.connection.close()
        self._kept = [kept for kept in self._kept if not is_meant(kept)]

    def _is_old(self, kept: _Kept) -> bool:
        return self._clock_s() - kept.opened_s >= _OLDEST_S


def _load() -> "type[KeptConnection]":
    """Load httpcore, the first time: 30 ms and 1.4 MiB."""
    from wr.events.kept_connection import KeptConnection

    return KeptConnection


def _read(url: str) -> tuple[SplitResult, _Origin]:
    try:
        parts = urlsplit(url)
        return parts, _Origin(parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme])
    except (ValueError, KeyError) as error:
        raise RequestFailure("the URL cannot be called") from error


def _encoded(host: str) -> bytes:
    try:
        return host.encode("idna")
    except UnicodeError as error:
        raise RequestFailure(f"{host} is not the name of a host") from error


def _reason(error: BaseException) -> str:
    cause = error.__cause__ or error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause) or type(cause).__name__
