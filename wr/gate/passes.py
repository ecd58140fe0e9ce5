"""Who passes: decided from a request's own headers and the published keys, without I/O of its own."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import jwt

from wr.gate.keys import PublishedKeys

_ALGORITHMS = ["RS256", "ES256", "EdDSA"]
_ISSUER = "wr"
_AUDIENCE = "wr:session"
_TOKEN = "wr_token"  # noqa: S105 - the name of a parameter


@dataclass(frozen=True)
class Session:
    """Somebody who was let in."""

    session_id: str
    queue_id: str
    expires_s: int
    """Seconds since 1970."""


@dataclass(frozen=True)
class Decision:
    """What becomes of a request: it passes with its session, or its sender goes elsewhere."""

    session: Session | None
    location: str = ""
    cookie: str = ""
    """What to set on the way, if anything: the value of `Set-Cookie`."""


class Passes:
    """Decides for one queue of one waiting room."""

    def __init__(self, server: str, queue: str, keys: PublishedKeys | None = None) -> None:
        self.server = server.rstrip("/")
        self.queue = queue
        self.keys = keys or PublishedKeys(f"{self.server}/.well-known/jwks.json")

    @property
    def cookie_name(self) -> str:
        """The cookie that keeps a session on the site."""
        return f"wr_session-{self.queue}"

    def read(self, token: str) -> Session | None:
        """Verify a session token; None for one that is false, over, or of another queue."""
        try:
            kid = jwt.get_unverified_header(token).get("kid", "")
            key = self.keys.find(kid) if isinstance(kid, str) else None
            if key is None:
                return None
            claims: dict[str, Any] = jwt.decode(
                token, key, algorithms=_ALGORITHMS, audience=_AUDIENCE, issuer=_ISSUER
            )
        except jwt.PyJWTError:
            return None
        if claims.get("queue_id") != self.queue:
            return None
        return Session(str(claims["sub"]), self.queue, int(claims["exp"]))

    def needs_request(self, tokens: list[str]) -> bool:
        """Whether to read one of these tokens takes a request to the waiting room."""
        for token in tokens:
            try:
                kid = jwt.get_unverified_header(token).get("kid")
            except jwt.PyJWTError:
                continue
            if isinstance(kid, str) and not self.keys.knows(kid):
                return True
        return False

    def tokens(self, cookie: str, authorization: str, query: str) -> list[str]:
        """List what a request brings that may be a session token."""
        kept = [
            part.partition("=")[2].strip()
            for part in cookie.split(";")
            if part.partition("=")[0].strip() == self.cookie_name
        ]
        scheme, _, bearer = authorization.partition(" ")
        brought = [part.partition("=")[2] for part in query.split("&") if part.partition("=")[0] == _TOKEN]
        return [*kept, *([bearer.strip()] if scheme.lower() == "bearer" else []), *brought]

    def decide(
        self, *, method: str, path: str, query: str, cookie: str, authorization: str, is_https: bool
    ) -> Decision:
        """Decide on a request; `path` as it was sent, encoded."""
        path = "/" + path.lstrip("/\\")
        kept = [part for part in query.split("&") if part and part.partition("=")[0] != _TOKEN]
        clean = f"{path}?{'&'.join(kept)}" if kept else path
        brought = self.tokens("", "", query)
        for token in brought:
            arrived = self.read(token)
            if arrived is not None and method in ("GET", "HEAD"):
                return Decision(None, clean, self._cookie(token, is_https=is_https))
        for token in self.tokens(cookie, authorization, ""):
            session = self.read(token)
            if session is not None:
                return Decision(session)
        back = clean if method in ("GET", "HEAD") else "/"
        return Decision(None, f"{self.server}/wait/{quote(self.queue)}?return={quote(back, safe='')}")

    def _cookie(self, token: str, *, is_https: bool) -> str:
        # The token says itself when it is over; the browser forgets it with the window at the latest.
        secure = "; Secure" if is_https else ""
        return f"{self.cookie_name}={token}; Path=/; HttpOnly; SameSite=Lax{secure}"
