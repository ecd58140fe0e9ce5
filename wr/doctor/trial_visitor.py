"""A test visitor that gives up every session and place it got, so that none is taken from a real visitor."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

import jwt
import msgspec

from wr.api.error_messages import ErrorResponse
from wr.api.visitors.messages import CancelResponse, EndSessionResponse
from wr.client.http_exchange import HttpAnswer, NoAnswer
from wr.doctor.http_probe import ask
from wr.model.ids import parse_session_id

SESSION_COOKIE = "wr_session-"
PLACE_COOKIE = "wr-"


class _Given(msgspec.Struct, frozen=True):
    """A session or place: the path that gives it up, under a waiting room's address, and its token."""

    path: str
    token: str


class TrialVisitor:
    """Sends each request as a new visitor, and remembers the sessions and places in the cookies it gets."""

    def __init__(self, name: str) -> None:
        """Prepare the visitor. `name` is random, so that no other visitor has it."""
        self.name = name
        self._given: list[_Given] = []

    def ask(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> HttpAnswer:
        """Send one request. Raises the same errors as `http_probe.ask`."""
        answer = ask(url, method=method, headers=headers, body=body)
        for cookie in answer.headers.get("set-cookie", ()):
            given = _read(cookie)
            if given is not None and given not in self._given:
                self._given.append(given)
        return answer

    def is_rid_of(self, token: str) -> None:
        """Record that a token's session or place is given up already."""
        self._given = [given for given in self._given if given.token != token]

    def give_back(self, rooms: Sequence[str]) -> int:
        """Give up all sessions and places, at any of the waiting rooms. Returns how many are left."""
        self._given = [given for given in self._given if not any(_is_given_up(given, room) for room in rooms)]
        return len(self._given)


def _read(cookie: str) -> _Given | None:
    name, _, value = cookie.partition(";")[0].partition("=")
    name, token = name.strip(), value.strip()
    if not token:
        return None
    if name.startswith(SESSION_COOKIE):
        session_id = _session_id(token)
        return _Given(f"/sessions/{session_id}", token) if session_id else None
    if name.startswith(PLACE_COOKIE):
        return _Given(f"/queues/{quote(name.removeprefix(PLACE_COOKIE), safe='')}/position", token)
    return None


def _session_id(token: str) -> str:
    """Read the session's id from a token without verifying it: the waiting room verifies it."""
    try:
        claimed = jwt.decode(token, options={"verify_signature": False}).get("sub", "")
    except jwt.PyJWTError:
        return ""
    return claimed if isinstance(claimed, str) and parse_session_id(claimed) is not None else ""


def _is_given_up(given: _Given, room: str) -> bool:
    headers = {"Authorization": f"Bearer {given.token}"}
    try:
        answer = ask(f"{room}/api/v1{given.path}", method="DELETE", headers=headers)
    except NoAnswer:
        return False
    if answer.status in (404, 410):
        return answer.read(ErrorResponse) is not None
    ended = answer.read(EndSessionResponse) or answer.read(CancelResponse)
    return answer.status == 200 and ended is not None
