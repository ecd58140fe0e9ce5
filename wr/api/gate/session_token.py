"""Session tokens as visitors of the site behind the gate bring them."""

from wr.api.http_messages import HttpRequest
from wr.api.place_cookies import read_cookie
from wr.api.services import Services
from wr.model.tokens import ExpiredToken, InvalidToken, PositionClaims, SessionClaims


def session_cookie_name(queue_id: str) -> str:
    """Name the cookie that keeps a session, on the site behind the gate."""
    return f"wr_session-{queue_id}"


def sent_tokens(http: HttpRequest, queue_id: str) -> list[str]:
    """List what may be a session token, the visitor's cookie first."""
    cookie = read_cookie(http, session_cookie_name(queue_id))
    scheme, _, bearer = http.headers.get("authorization", "").partition(" ")
    return [token for token in (cookie, bearer.strip() if scheme.lower() == "bearer" else None) if token]


async def read_site_session(services: Services, queue_id: str, token: str) -> SessionClaims | None:
    """Verify a session token; one past its time counts as long as its session was given more.

    Raises:
        Unavailable: it names a key that is not at hand, and the store cannot be asked for it.
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
