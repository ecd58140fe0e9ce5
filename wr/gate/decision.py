"""Decides which requests pass the gate, from their headers and the published keys, without I/O of its own."""

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
_TOKEN_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_LONGEST_TOKEN = 4096
_MOST_TOKENS = 4
_CLOCKS_APART_S = 2
"""Seconds that a token stays valid after its end. Otherwise visitors would be redirected back and forth if
the site's clock is a little ahead of the waiting room's."""
_OWN_HEADERS = ("x-wr-session", "x-wr-queue", "x-wr-outage")
# Not-before times are not checked, because the site's clock may be behind. The end is checked with `now_s`.
_DECODE_OPTIONS: Any = {
    "require": ["exp", "sub"],
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}


@dataclass(frozen=True)
class Session:
    """The session of an admitted visitor."""

    session_id: str
    queue_id: str
    expires_s: int
    """Seconds since 1970."""


@dataclass(frozen=True)
class GateRequest:
    """The parts of a request that the decision needs."""

    method: str
    path: str
    """Percent-encoded, as the client sent it."""
    query: str
    cookie: str
    authorization: str
    is_https: bool

    @property
    def can_move(self) -> bool:
        """Whether it can be redirected without loss."""
        return self.method in ("GET", "HEAD")


@dataclass(frozen=True)
class Decision:
    """The result for a request: it passes, with its session if it has one, or it is redirected."""

    session: Session | None
    location: str = ""
    """The URL to redirect to. Empty if the request passes."""
    cookie: str = ""
    """The value of `Set-Cookie` for the redirect. May be empty."""


class Passes:
    """Decides about requests for one queue of one waiting room.

    Raises:
        ValueError: `server` is no URL, `queue` is empty, or an open path does not begin with a slash.
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
        """Name of the site's cookie that holds the session token."""
        return f"wr_session-{self.queue}"

    def read(self, token: str, *, may_wait: bool = True) -> Session | None:
        """Verify a session token. Returns None if it is invalid, expired, of another queue, or ended here.

        With `may_wait`, an unknown key may cause a request to the waiting room.
        """
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
        if ends_s + _CLOCKS_APART_S <= self._now_s() or self._ended.holds(session_id, _valid_until_s(ends_s)):
            return None
        return Session(session_id, self.queue, ends_s)

    def needs_request(self, request: GateRequest) -> bool:
        """Whether the decision may need a request to the waiting room, for an unknown key."""
        kids = (_key_id(token) for token in self._tokens_worth_waiting(request))
        return any(kid and not self.keys.knows(kid) for kid in kids)

    def decide(self, request: GateRequest, *, may_wait: bool = True) -> Decision:
        """Decide about a request. With `may_wait`, an unknown key may cause a request to the waiting room."""
        path = "/" + request.path.lstrip("/\\")
        kept = [part for part in request.query.split("&") if part and part.partition("=")[0] != _TOKEN]
        clean = _safe_in_header(f"{path}?{'&'.join(kept)}" if kept else path)
        waited_for = self._tokens_worth_waiting(request) if may_wait else []
        url_tokens = self._url_tokens(request)
        for token in self._header_tokens(request) + url_tokens:
            session = self.read(token, may_wait=token in waited_for)
            if session is None:
                continue
            if request.can_move and url_tokens:
                # Redirect to the URL without the token. A token in a link does not replace a valid session
                # in the cookie.
                cookie = self.cookie(token, is_https=request.is_https) if token in url_tokens else ""
                return Decision(None, clean, cookie)
            # A form or a WebSocket cannot be redirected. It passes with the token in its URL.
            return Decision(session)
        if self._is_open(request):
            return Decision(None)
        back = clean if request.can_move else "/"
        return Decision(
            None, f"{self.server}/wait/{quote(self.queue, safe='')}?return={quote(back, safe='')}"
        )

    def end(self, session: Session) -> None:
        """Refuse this session from now on."""
        self._ended.note(session.session_id, _valid_until_s(session.expires_s), self._now_s())

    def restore(self, session: Session) -> None:
        """Accept a session again that was ended here, because the waiting room still has it."""
        self._ended.forget(session.session_id)

    def cookie(self, token: str, *, is_https: bool) -> str:
        """Return the `Set-Cookie` value that stores a session token."""
        # A browser-session cookie is enough, because the token has its own end. Over HTTPS it is also sent
        # when a payment provider makes the browser post a form to the site.
        scope = "SameSite=None; Secure" if is_https else "SameSite=Lax"
        return f"{self.cookie_name}={token}; Path=/; HttpOnly; {scope}"

    def no_cookie(self, *, is_https: bool) -> str:
        """Return the `Set-Cookie` value that deletes the session cookie."""
        return f"{self.cookie('', is_https=is_https)}; Max-Age=0"

    def named(self, session: Session | None) -> list[tuple[str, str]]:
        """Return the headers that name the queue and the session to the site, as the gate in a proxy does."""
        queue = ("X-WR-Queue", self.queue)
        return [queue] if session is None else [("X-WR-Session", session.session_id), queue]

    def _is_open(self, request: GateRequest) -> bool:
        return is_open(request.path, self._open_paths)

    def _url_tokens(self, request: GateRequest) -> list[str]:
        """Return the tokens in the URL."""
        parts = [part.partition("=") for part in request.query.split("&")]
        return [token for name, _, token in parts if name == _TOKEN and token][:_MOST_TOKENS]

    def _header_tokens(self, request: GateRequest) -> list[str]:
        """Return the tokens in the headers, cookies first."""
        parts = [part.partition("=") for part in request.cookie.split(";")]
        kept = [token.strip() for name, _, token in parts if name.strip() == self.cookie_name]
        scheme, _, bearer = request.authorization.partition(" ")
        return [*kept[:_MOST_TOKENS], *([bearer.strip()] if scheme.lower() == "bearer" else [])]

    def _tokens_worth_waiting(self, request: GateRequest) -> list[str]:
        """Return the tokens for which the request may wait if their key is unknown.

        On an open path only tokens in the URL count, because every request passes anyway.
        """
        url_tokens = self._url_tokens(request)
        return url_tokens if self._is_open(request) else [*self._header_tokens(request), *url_tokens]


def is_the_gates_own(header: str) -> bool:
    """Whether only the gate may set this header, so that the client's own must be removed.

    Underscores count as hyphens, because most sites do not distinguish them.
    """
    return header.lower().replace("_", "-") in _OWN_HEADERS


def _key_id(token: str) -> str:
    """Return the id of the key that signed a token. Empty if it cannot be a token of the waiting room."""
    if len(token) > _LONGEST_TOKEN or not _TOKEN_FORM.fullmatch(token):
        return ""
    try:
        kid = jwt.get_unverified_header(token).get("kid")
    except jwt.PyJWTError:
        return ""
    return kid if isinstance(kid, str) else ""


def _valid_until_s(expires_s: int) -> int:
    return expires_s + _CLOCKS_APART_S


def _safe_in_header(text: str) -> str:
    """Percent-encode characters that could end a header or its line. `text` has one character a byte."""
    return quote(text.encode("latin-1"), safe="/%:?#[]@!$&'()*+,;=~-._")
