"""Resolves the names of webhook receivers in its own few threads: a slow resolver delays nothing else."""

import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import trio

_MOST_AT_ONCE = 8
"""Look-ups at the same time, each in a thread. A resolver that does not answer blocks each for half a minute,
even if no caller waits any more."""
_REMEMBERED_S = 5.0
_MOST_REMEMBERED = 256


class Address(NamedTuple):
    """One address of a name, in the form that a socket needs."""

    family: int
    place: Any
    """The argument of `connect`: host, port and, for IPv6, the scope."""

    @property
    def host(self) -> str:
        """The address without its port."""
        return str(self.place[0])


class NameNotFound(Exception):
    """A name has no address, or could not be looked up; the message tells the operator which."""


LookUp = Callable[..., list[tuple[Any, ...]]]
"""What `socket.getaddrinfo` takes and returns."""


class _Asked:
    """One look-up; all callers that need this name wait for it."""

    def __init__(self) -> None:
        self.is_answered = trio.Event()
        self.answer: list[Address] | OSError | UnicodeError | None = None
        self.until_s = 0.0


class DnsCache:
    """Looks names up, and remembers the result for five seconds, failures too.

    Trio's own resolver would use the threads that the whole server shares, and block them for as long as the
    system's resolver does not answer, even after the caller has given up. These threads are separate and few;
    further look-ups wait. A numeric address needs no thread.
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
        """List the addresses of a name, the best first.

        Raises:
            NameNotFound: it has none, or could not be looked up.
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
        """Read a numeric address as the system does, in all spellings of IPv4; None if it is a name."""
        try:
            return _read(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
        except (socket.gaierror, UnicodeError):
            return None

    def _begin(self) -> None:
        """Start the look-ups that wait, as far as threads are free."""
        while self._waiting and self._threads < _MOST_AT_ONCE:
            name = self._waiting.popleft()
            try:
                self._in_thread(name)
            except RuntimeError:
                # The system has no thread left. As after any failure, the name is looked up again later.
                self._settle(name, OSError("no thread could be started to look it up"))
            else:
                self._threads += 1

    def _in_thread(self, name: tuple[str, int]) -> None:
        """Look up; raises `RuntimeError` if no thread can be started."""
        token = trio.lowlevel.current_trio_token()

        def ask() -> None:
            answer: list[Address] | OSError | UnicodeError | None = None
            try:
                answer = _read(self._look_up(*name, type=socket.SOCK_STREAM))
            except (OSError, UnicodeError) as error:
                answer = error
            finally:
                # In every case: the thread has to be given back, and no caller may wait for ever.
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
        """Forget results that are too old or too many; look-ups under way stay."""
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
