"""Finds and verifies the session tokens in requests to the gate."""

from wr.api.http_messages import HttpRequest
from wr.api.place_cookies import read_cookie
from wr.api.services import Services
from wr.model.tokens import ExpiredToken, InvalidToken, PositionClaims, SessionClaims


def session_cookie_name(queue_id: str) -> str:
    """Return the name of the site's cookie that holds the session token."""
    return f"wr_session-{queue_id}"


def sent_tokens(http: HttpRequest, queue_id: str) -> list[str]:
    """Return the possible session tokens of a request: the cookie first, then the bearer token."""
    cookie = read_cookie(http, session_cookie_name(queue_id))
    scheme, _, bearer = http.headers.get("authorization", "").partition(" ")
    return [token for token in (cookie, bearer.strip() if scheme.lower() == "bearer" else None) if token]


async def read_site_session(services: Services, queue_id: str, token: str) -> SessionClaims | None:
    """Verify a session token. Returns None if it is invalid or belongs to another queue.

    An expired token counts too, because its session may have been extended.

    Raises:
        Unavailable: the token's key is unknown, and the store is unreachable.
    """
    try:
        claims = await services.signing_keys.read_session(token)
    except InvalidToken:
        return None
    except ExpiredToken as error:
        if isinstance(error.claims, PositionClaims):
            return None
        claims = error.claims
    return claims if claims.queue_id == queue_id else None
