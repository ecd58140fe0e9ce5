"""Reads the site's commands about a session (`X-WR-Command`), and sends them to the waiting room."""

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
_COMMAND_FORM = re.compile(r"(end|revoke)|extend=([1-9][0-9]{0,5})")
_KEY = re.compile(r"[!-~]+")
_WEEK_S = 604_800
_THREADS = 4
_MAX_WAITING = 1_000
_PATIENCE_S = 2.0
_GONE = 410


@dataclass(frozen=True)
class Command:
    """One command. `end` and `revoke` have no seconds."""

    name: str
    seconds: int = 0

    @property
    def extends(self) -> bool:
        """Whether it extends the session. All other commands end it."""
        return self.name == "extend"


def read_command(spelled: str) -> Command | None:
    """Read `end`, `revoke` or `extend=SECONDS`, at most a week. Returns None for anything else."""
    match = _COMMAND_FORM.fullmatch(spelled.strip())
    if match is None or int(match[2] or 0) > _WEEK_S:
        return None
    return Command(match[1]) if match[1] else Command("extend", int(match[2]))


def settle(values: Iterable[str]) -> Command | None:
    """Choose one of the commands in a response: the first that ends the session, else the last one.

    Values that are no command are logged and ignored.
    """
    settled = None
    for value in values:
        command = read_command(value)
        if command is None:
            log.error("X-WR-Command must be end, revoke or extend=SECONDS, of 1 to 604800")
        elif settled is None or settled.extends:
            settled = command
    return settled


class Commands:
    """Sends commands to the waiting room, with the origin key. Safe to use from several threads.

    A response of the site that extends a session waits for the waiting room, at most `patience_s` seconds.

    Raises:
        ValueError: `server` is no URL, or the key cannot be sent in a header.
    """

    def __init__(self, server: str, origin_key: str, *, patience_s: float = _PATIENCE_S) -> None:
        if not server.startswith(("http://", "https://")):
            raise ValueError("commands need the address of a waiting room, http(s)://…")
        self._patience_s = patience_s
        self._server = server.rstrip("/")
        # A key that was read from a file may end with a newline.
        self._origin_key = origin_key.strip()
        if not _KEY.fullmatch(self._origin_key):
            raise ValueError("the origin key must consist of visible ASCII characters, without spaces")
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="wr-gate")
        self._free_places = threading.BoundedSemaphore(_MAX_WAITING)

    def tell(self, session_id: str, command: Command, *, if_not: Callable[[], None]) -> None:
        """Send a command that ends a session, in the background. It may have ended already.

        If that fails, or too many commands are waiting, the failure is logged and `if_not` is called.
        """

        def tell() -> None:
            try:
                self._ask(session_id, command)
            except NoAnswer as error:
                if error.status != _GONE:
                    _log_failure(command, error)
                    if_not()

        if self._submit(command, tell) is None:
            if_not()

    def extend(self, session_id: str, command: Command) -> str | None:
        """Extend a session and wait for its new token. Returns None, and logs why, if there is none."""
        sending = self._submit(command, lambda: self._ask(session_id, command))
        if sending is None:
            return None
        try:
            token = sending.result(self._patience_s).get("session_token")
        except (NoAnswer, TimeoutError, CancelledError) as error:
            sending.cancel()
            _log_failure(command, error if str(error) else f"no answer within {self._patience_s:g} seconds")
            return None
        if isinstance(token, str):
            return token
        log.error("the waiting room extended a session without a new token: is its version too old?")
        return None

    def close(self, *, drop_waiting: bool = False) -> None:
        """Wait until all commands are sent. With `drop_waiting` return at once, and send no more of them."""
        self._threads.shutdown(wait=not drop_waiting, cancel_futures=drop_waiting)

    def _submit(self, command: Command, work: Callable[[], Any]) -> "Future[Any] | None":
        if not self._free_places.acquire(blocking=False):
            _log_failure(command, f"{_MAX_WAITING} others are waiting")
            return None
        try:
            sending = self._threads.submit(work)
        except RuntimeError as error:  # This object is closed, or the site is shutting down.
            self._free_places.release()
            _log_failure(command, error)
            return None
        sending.add_done_callback(lambda _: self._free_places.release())
        return sending

    def _ask(self, session_id: str, command: Command) -> dict[str, Any]:
        body: dict[str, object] = {"command": command.name}
        if command.extends:
            body["seconds"] = command.seconds
        url = f"{self._server}/api/v1/sessions/{quote(session_id, safe='')}/commands"
        return ask(url, body, {"X-WR-Origin-Key": self._origin_key})


def _log_failure(command: Command, why: object) -> None:
    log.error("the waiting room did not get the command %s: %s", command.name, why)
