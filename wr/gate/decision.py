"""Who passes: decided from a request's own headers and the published keys, without I/O of its own."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import jwt

from wr.gate.ended_sessions import Ended
from wr.gate.open_paths import is_open, read_open_paths
from wr.gate.published_keys import PublishedKeys

_ALGORITHMS = ["RS256", "ES256", "EdDSA"]
_ISSUER = "wr"
_AUDIENCE = "wr:session"
_TOKEN = "wr_token"  # noqa: S105 - the name of a parameter
_SPELLED = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_LONGEST_TOKEN = 4096
_MOST_TOKENS = 4
_CLOCKS_APART_S = 2
"""For so long after its end a token passes: a site whose clock is ahead would send people back and forth."""
_NAMED = ("x-wr-session", "x-wr-queue", "x-wr-outage")
# The site's clock may be behind, so a token of the future is as good, and the time is told by `now_s`.
_DECODE_OPTIONS: Any = {
    "require": ["exp", "sub"],
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}


@dataclass(frozen=True)
class Session:
    """Somebody who was let in."""

    session_id: str
    queue_id: str
    expires_s: int
    """Seconds since 1970."""


@dataclass(frozen=True)
class GateRequest:
    """A request, as far as it is decided on."""

    method: str
    path: str
    """As it was sent, encoded."""
    query: str
    cookie: str
    authorization: str
    is_https: bool

    @property
    def can_move(self) -> bool:
        """Whether it loses nothing by being sent to another address."""
        return self.method in ("GET", "HEAD")


@dataclass(frozen=True)
class Decision:
    """What becomes of a request: it passes, with its session if it has one, or its sender goes elsewhere."""

    session: Session | None
    location: str = ""
    """Where its sender goes; empty for one that passes."""
    cookie: str = ""
    """What to set on the way, if anything: the value of `Set-Cookie`."""


class Passes:
    """Decides for one queue of one waiting room.

    Raises:
        ValueError: the waiting room has no address or the queue no name, or an open path is none.
    """

    def __init__(
        self,
        server: str,
        queue: str,
        keys: PublishedKeys | None = None,
        *,
        open_paths: str = "",
        now_s: Callable[[], float] = time.time,
    ) -> None:
        if not server.startswith(("http://", "https://")) or not queue:
            raise ValueError("the gate needs the address of a waiting room, http(s)://…, and a queue")
        self.server = server.rstrip("/")
        self.queue = queue
        self.keys = keys or PublishedKeys(f"{self.server}/.well-known/jwks.json")
        self._open_paths = read_open_paths(open_paths)
        self._now_s = now_s
        self._ended = Ended()

    @property
    def cookie_name(self) -> str:
        """The cookie that keeps a session on the site."""
        return f"wr_session-{self.queue}"

    def read(self, token: str, *, may_wait: bool = True) -> Session | None:
        """Verify a session token; None for one that is false, over, of another queue or ended by the site."""
        kid = _key_id(token)
        key = self.keys.find(kid, may_wait=may_wait) if kid else None
        if key is None:
            return None
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=_ALGORITHMS,
                audience=_AUDIENCE,
                issuer=_ISSUER,
                options=_DECODE_OPTIONS,
            )
        except jwt.PyJWTError:
            return None
        session_id, ends_s = claims["sub"], claims["exp"]
        if claims.get("queue_id") != self.queue or not isinstance(ends_s, int):
            return None
        if ends_s + _CLOCKS_APART_S <= self._now_s() or self._ended.holds(session_id, _over_s(ends_s)):
            return None
        return Session(session_id, self.queue, ends_s)

    def needs_request(self, asked: GateRequest) -> bool:
        """Whether to decide on this may take a request to the waiting room."""
        kids = (_key_id(token) for token in self._waited_for(asked))
        return any(kid and not self.keys.knows(kid) for kid in kids)

    def decide(self, asked: GateRequest, *, may_wait: bool = True) -> Decision:
        """Decide on a request; with `may_wait` a token signed with an unknown key may take a request."""
        path = "/" + asked.path.lstrip("/\\")
        kept = [part for part in asked.query.split("&") if part and part.partition("=")[0] != _TOKEN]
        clean = _tame(f"{path}?{'&'.join(kept)}" if kept else path)
        waited_for = self._waited_for(asked) if may_wait else []
        brought = self._brought(asked)
        for token in self._held(asked) + brought:
            session = self.read(token, may_wait=token in waited_for)
            if session is None:
                continue
            if asked.can_move and brought:
                # The address is cleared; a link takes the place of no session that is good.
                cookie = self.cookie(token, is_https=asked.is_https) if token in brought else ""
                return Decision(None, clean, cookie)
            # What cannot be sent elsewhere, a form or a WebSocket, passes with the token in its address.
            return Decision(session)
        if self._is_open(asked):
            return Decision(None)
        back = clean if asked.can_move else "/"
        return Decision(
            None, f"{self.server}/wait/{quote(self.queue, safe='')}?return={quote(back, safe='')}"
        )

    def end(self, session: Session) -> None:
        """Let nobody pass with this session any longer."""
        self._ended.note(session.session_id, _over_s(session.expires_s), self._now_s())

    def restore(self, session: Session) -> None:
        """Let a session pass that was ended here, because the waiting room holds on to it."""
        self._ended.forget(session.session_id)

    def cookie(self, token: str, *, is_https: bool) -> str:
        """Spell the cookie that keeps a session."""
        # The token says itself when it is over; the browser forgets it with the window at the latest.
        # Over https it comes along too when a payment provider has the buyer post something here.
        scope = "SameSite=None; Secure" if is_https else "SameSite=Lax"
        return f"{self.cookie_name}={token}; Path=/; HttpOnly; {scope}"

    def no_cookie(self, *, is_https: bool) -> str:
        """Spell the cookie that takes a session's away."""
        return f"{self.cookie('', is_https=is_https)}; Max-Age=0"

    def named(self, session: Session | None) -> list[tuple[str, str]]:
        """List the headers that name the queue and the session to the site, as the gate in a proxy does."""
        queue = ("X-WR-Queue", self.queue)
        return [queue] if session is None else [("X-WR-Session", session.session_id), queue]

    def _is_open(self, asked: GateRequest) -> bool:
        return is_open(asked.path, self._open_paths)

    def _brought(self, asked: GateRequest) -> list[str]:
        """List the tokens in the address."""
        parts = [part.partition("=") for part in asked.query.split("&")]
        return [token for name, _, token in parts if name == _TOKEN and token][:_MOST_TOKENS]

    def _held(self, asked: GateRequest) -> list[str]:
        """List the tokens in headers, cookies first."""
        parts = [part.partition("=") for part in asked.cookie.split(";")]
        kept = [token.strip() for name, _, token in parts if name.strip() == self.cookie_name]
        scheme, _, bearer = asked.authorization.partition(" ")
        return [*kept[:_MOST_TOKENS], *([bearer.strip()] if scheme.lower() == "bearer" else [])]

    def _waited_for(self, asked: GateRequest) -> list[str]:
        """List the tokens whose key is worth waiting for: nobody waits where everybody passes."""
        brought = self._brought(asked)
        return brought if self._is_open(asked) else [*self._held(asked), *brought]


def is_the_gates_own(header: str) -> bool:
    """Whether the gate alone names that to the site, so that a visitor's own must not get there.

    Underscores and hyphens are one to most sites.
    """
    return header.lower().replace("_", "-") in _NAMED


def _key_id(token: str) -> str:
    """Read which key signed a token; empty for what cannot be a token of the waiting room."""
    if len(token) > _LONGEST_TOKEN or not _SPELLED.fullmatch(token):
        return ""
    try:
        kid = jwt.get_unverified_header(token).get("kid")
    except jwt.PyJWTError:
        return ""
    return kid if isinstance(kid, str) else ""


def _over_s(expires_s: int) -> int:
    return expires_s + _CLOCKS_APART_S


def _tame(text: str) -> str:
    """Encode what would end a header, or the line it is in; `text` has a character for each byte."""
    return quote(text.encode("latin-1"), safe="/%:?#[]@!$&'()*+,;=~-._")
