"""Where names lead: looked up in a few threads of their own, each name once at a time."""

import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import trio

_MOST_AT_ONCE = 8
"""Threads that look up. A resolver that is silent keeps each for half a minute, whoever gave up waiting."""
_REMEMBERED_S = 5.0
_MOST_REMEMBERED = 256


class Address(NamedTuple):
    """Where a name leads, as a socket wants to be told."""

    family: int
    place: Any
    """What `connect` takes: host, port and, for IPv6, the scope."""

    @property
    def host(self) -> str:
        """The address alone."""
        return str(self.place[0])


class NameNotFound(Exception):
    """A name leads nowhere, or nobody could say; the message says so, in words for the operator."""


LookUp = Callable[..., list[tuple[Any, ...]]]
"""What `socket.getaddrinfo` takes and returns."""


class _Asked:
    """A look-up that was asked for; all who want to know wait for the same one."""

    def __init__(self) -> None:
        self.is_answered = trio.Event()
        self.answer: list[Address] | OSError | UnicodeError | None = None
        self.until_s = 0.0


class DnsCache:
    """Looks names up, and remembers for five seconds what came of it, failures too.

    Trio's own way would take places of the threads that everybody shares, and keep them for as long as the
    resolver is silent, though the caller has long given up. These threads are others, and few; who wants to
    know more at once waits. Numeric addresses need no thread.
    """

    def __init__(
        self, look_up: LookUp = socket.getaddrinfo, *, clock_s: Callable[[], float] = trio.current_time
    ) -> None:
        self._look_up = look_up
        self._clock_s = clock_s
        self._asked: dict[tuple[str, int], _Asked] = {}
        self._waiting: deque[tuple[str, int]] = deque()
        self._threads = 0

    async def addresses(self, host: str, port: int) -> list[Address]:
        """List where a name leads, the best first.

        Raises:
            NotFound: nowhere, or nobody could say.
        """
        numeric = self._numeric(host, port)
        if numeric is not None:
            return numeric
        name = (host, port)
        asked = self._asked.get(name)
        if asked is None or (asked.is_answered.is_set() and asked.until_s <= self._clock_s()):
            self._forget_the_old()
            asked = self._asked[name] = _Asked()
            self._waiting.append(name)
            self._begin()
        await asked.is_answered.wait()
        if asked.answer is None:
            raise RuntimeError(f"the look-up of {host} ended without an answer")
        if isinstance(asked.answer, list):
            return asked.answer
        raise NameNotFound(f"{host}: {_reason(asked.answer)}")

    def _numeric(self, host: str, port: int) -> list[Address] | None:
        """Read an address in digits, as the system does: also the odd spellings of IPv4."""
        try:
            return _read(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
        except (socket.gaierror, UnicodeError):
            return None

    def _begin(self) -> None:
        """Begin look-ups that wait, as long as there are threads for them."""
        while self._waiting and self._threads < _MOST_AT_ONCE:
            name = self._waiting.popleft()
            try:
                self._in_thread(name)
            except RuntimeError:
                # The system has none to spare: as with a resolver that fails, it is asked again in a while.
                self._settle(name, OSError("no thread could be started to look it up"))
            else:
                self._threads += 1

    def _in_thread(self, name: tuple[str, int]) -> None:
        """Look up; raises `RuntimeError` if there can be no thread for it."""
        token = trio.lowlevel.current_trio_token()

        def ask() -> None:
            answer: list[Address] | OSError | UnicodeError | None = None
            try:
                answer = _read(self._look_up(*name, type=socket.SOCK_STREAM))
            except (OSError, UnicodeError) as error:
                answer = error
            finally:
                # Whatever happened: the place is to be free again, and nobody is to wait for ever.
                with suppress(trio.RunFinishedError):
                    token.run_sync_soon(self._take, name, answer)

        trio.lowlevel.start_thread_soon(ask, lambda _result: None)

    def _take(self, name: tuple[str, int], answer: list[Address] | OSError | UnicodeError | None) -> None:
        self._threads -= 1
        self._settle(name, answer)
        self._begin()

    def _settle(self, name: tuple[str, int], answer: list[Address] | OSError | UnicodeError | None) -> None:
        asked = self._asked[name]
        asked.answer = answer
        asked.until_s = self._clock_s() + _REMEMBERED_S
        asked.is_answered.set()

    def _forget_the_old(self) -> None:
        """Forget what is remembered no longer, or too much; what is still looked up stays."""
        now_s = self._clock_s()
        answered = [name for name, asked in self._asked.items() if asked.is_answered.is_set()]
        surplus = len(answered) - _MOST_REMEMBERED
        for place, name in enumerate(answered):
            if place <= surplus or self._asked[name].until_s <= now_s:
                del self._asked[name]


def _read(found: list[tuple[Any, ...]]) -> list[Address]:
    return [Address(family, place) for family, _, _, _, place in found]


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
