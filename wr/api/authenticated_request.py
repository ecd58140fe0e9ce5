"""A request as an operation gets it: the caller is authenticated, the message is read and valid.

A request has three stages. A lane reads an `HttpRequest`; the guard notes what it finds out about it in a
`GuardedRequest` (`request_guard.py`); an operation gets an `AuthenticatedRequest`.
"""

from typing import Generic, TypeVar

import msgspec

from wr.api.http_messages import HttpRequest
from wr.model.audit import Actor
from wr.model.tokens import PositionProof, SessionClaims

_LONGEST_AGENT = 512
MessageT = TypeVar("MessageT")
"""The type of the message that a request brings in its body or its query; None if it brings none."""


class Caller(msgspec.Struct, frozen=True):
    """The client that sent a request: its address, and what it proved with a key or a token."""

    address: str
    """The client's address, which trusted proxies may have told."""
    is_admin: bool = False
    """Whether the caller has the admin key."""
    operator: str = ""
    """The name that an operator gives; a claim, not a proof."""
    is_site: bool = False
    """Whether the site itself calls for a visitor, with the origin key or the admin key."""
    position: PositionProof | None = None
    """The place that the caller's position token proves."""
    session: SessionClaims | None = None
    """The session that the caller's session token proves."""
    keeps_token_in_cookie: bool = False
    """Whether the position token is to be kept in a cookie, and left out of the body of the response."""
    keeps_token: bool = False
    """Whether the client says that it keeps the token of its place, in a cookie or itself."""
    has_user_token: bool = False
    """Whether the caller brings a token of the site's user."""

    @property
    def actor(self) -> Actor:
        """The operator that the audit trail names for what the request changes."""
        return Actor(self.operator, self.address)


class AuthenticatedRequest(msgspec.Struct, Generic[MessageT], frozen=True):
    """What an operation gets."""

    http: HttpRequest
    """The request as it was sent; only pages, cookies and a few headers need it."""
    parameters: dict[str, str]
    """The parameters in the path, by name."""
    caller: Caller
    message: MessageT
    """What the request brings in its body or its query, as the route of the operation says."""

    @property
    def user_agent(self) -> str:
        """What the client says of its software, 512 characters at most."""
        return self.http.headers.get("user-agent", "")[:_LONGEST_AGENT]

    @property
    def queue_id(self) -> str:
        """The id of the queue that the path names."""
        return self.parameters["queue_id"]

    @property
    def proven_position(self) -> PositionProof:
        """The place that the position token proves; for routes that ask for such a token only."""
        if self.caller.position is None:
            raise AssertionError("the route asks for a position token")
        return self.caller.position

    @property
    def proven_session(self) -> SessionClaims:
        """The session that the session token proves; for routes that ask for such a token only."""
        if self.caller.session is None:
            raise AssertionError("the route asks for a session token")
        return self.caller.session
