"""What the site says of a session in `X-WR-Command`, told to the waiting room."""

import logging
import re
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from wr.gate.http_client import NoAnswer, ask

log = logging.getLogger("wr.gate")

COMMAND = "x-wr-command"
_SPELLED = re.compile(r"(end|revoke)|extend=([1-9][0-9]{0,5})")
_KEY = re.compile(r"[!-~]+")
_WEEK_S = 604_800
_THREADS = 4
_MOST_UNTOLD = 1_000
_PATIENCE_S = 2.0
_GONE = 410


@dataclass(frozen=True)
class Command:
    """One command: `end` and `revoke` are without seconds."""

    name: str
    seconds: int = 0

    @property
    def extends(self) -> bool:
        """Whether it gives the session more time; any other ends it."""
        return self.name == "extend"


def read_command(spelled: str) -> Command | None:
    """Read `end`, `revoke` or `extend=SECONDS`, a week at most; None for what the waiting room refuses."""
    match = _SPELLED.fullmatch(spelled.strip())
    if match is None or int(match[2] or 0) > _WEEK_S:
        return None
    return Command(match[1]) if match[1] else Command("extend", int(match[2]))


def settle(said: Iterable[str]) -> Command | None:
    """Settle what one answer says in several headers: what ends the session counts, else what came last.

    What is no command is logged and left out.
    """
    settled = None
    for spelled in said:
        command = read_command(spelled)
        if command is None:
            log.error("X-WR-Command must be end, revoke or extend=SECONDS, of 1 to 604800")
        elif settled is None or settled.extends:
            settled = command
    return settled


class Commands:
    """Tells the waiting room of commands, with the origin key. Safe to share among threads.

    An answer of the site that gives more time waits for the waiting room, for `patience_s` at most.

    Raises:
        ValueError: the waiting room has no address, or the key cannot be sent in a header.
    """

    def __init__(self, server: str, origin_key: str, *, patience_s: float = _PATIENCE_S) -> None:
        if not server.startswith(("http://", "https://")):
            raise ValueError("commands need the address of a waiting room, http(s)://…")
        self._patience_s = patience_s
        self._server = server.rstrip("/")
        # A key that was read from a file brings the end of its line along.
        self._origin_key = origin_key.strip()
        if not _KEY.fullmatch(self._origin_key):
            raise ValueError("the origin key must be letters, digits and signs of ASCII, without spaces")
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="wr-gate")
        self._room_left = threading.BoundedSemaphore(_MOST_UNTOLD)

    def tell(self, session_id: str, command: Command, *, if_not: Callable[[], None]) -> None:
        """Tell a command in the background, in which a session that has ended already counts as told.

        What goes wrong, or is too much at once, is logged and answered with a call of `if_not`.
        """

        def tell() -> None:
            try:
                self._ask(session_id, command)
            except NoAnswer as error:
                if error.status != _GONE:
                    _not_told(command, error)
                    if_not()

        if self._submit(command, tell) is None:
            if_not()

    def extend(self, session_id: str, command: Command) -> str | None:
        """Give a session more time and wait for its new token; when there is none, that is logged."""
        told = self._submit(command, lambda: self._ask(session_id, command))
        if told is None:
            return None
        try:
            token = told.result(self._patience_s).get("session_token")
        except (NoAnswer, TimeoutError, CancelledError) as error:
            told.cancel()
            _not_told(command, error if str(error) else f"no answer within {self._patience_s:g} seconds")
            return None
        if isinstance(token, str):
            return token
        log.error("the waiting room gave no new token with the time: is it of an earlier version?")
        return None

    def close(self) -> None:
        """Wait until everything is told."""
        self._threads.shutdown()

    def _submit(self, command: Command, work: Callable[[], Any]) -> "Future[Any] | None":
        if not self._room_left.acquire(blocking=False):
            _not_told(command, f"{_MOST_UNTOLD} others wait to be told")
            return None
        try:
            told = self._threads.submit(work)
        except RuntimeError as error:  # Closed, or the site is about to end.
            self._room_left.release()
            _not_told(command, error)
            return None
        told.add_done_callback(lambda _: self._room_left.release())
        return told

    def _ask(self, session_id: str, command: Command) -> dict[str, Any]:
        wish: dict[str, object] = {"command": command.name}
        if command.extends:
            wish["seconds"] = command.seconds
        url = f"{self._server}/api/v1/sessions/{quote(session_id, safe='')}/commands"
        return ask(url, wish, {"X-WR-Origin-Key": self._origin_key})


def _not_told(command: Command, why: object) -> None:
    log.error("the waiting room was not told %s: %s", command.name, why)
