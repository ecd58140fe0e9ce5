"""Cookies that hold position tokens, one for each queue, so that scripts of a page cannot read them.

A client that sends `X-WR-Token: cookie` gets its position token in a cookie instead of the response body. A
page of another site can send this header only if CORS allows it. Its requests never carry the cookie, because
the cookie is a same-site cookie.
"""

import re
from urllib.parse import urlsplit

from wr.api.http_messages import HttpRequest
from wr.model.client_address import Network, is_trusted

TOKEN_HEADER = "x-wr-token"  # noqa: S105 - the name of a header
IN_COOKIE = "cookie"
IN_CLIENT = "client"
"""Value for a client that keeps the token itself and sends it with each request."""
_DAY_S = 24 * 3600
_PROTOCOL = "x-forwarded-proto"


def cookie_name(queue_id: str) -> str:
    """Return the name of the cookie with the position token of a queue."""
    return f"wr-{queue_id}"


def wants_cookie(request: HttpRequest) -> bool:
    """Whether the client wants its token in a cookie."""
    return request.headers.get(TOKEN_HEADER) == IN_COOKIE


def read_cookie(request: HttpRequest, name: str) -> str | None:
    """Return a cookie, or None if it was not sent or is empty.

    If several have the same name, the first counts (RFC 6265, section 5.4).
    """
    sent = request.headers.get("cookie")
    if not sent:
        return None
    # Repeated Cookie headers are joined with a comma. No cookie name or value contains one.
    for part in re.split("[;,]", sent):
        given, equals, value = part.strip().partition("=")
        if equals and given == name:
            return value or None
    return None


class PlaceCookies:
    """Creates cookies, and decides from which pages requests may use them."""

    def __init__(
        self,
        *,
        lifetime_s: float,
        serves_https: bool,
        trusted_proxies: tuple[Network, ...],
        public_url: str = "",
    ) -> None:
        # The cookie outlives its token, because an expired token is still accepted while the store has the
        # place.
        self._lifetime_s = max(1, int(lifetime_s)) + _DAY_S
        self._serves_https = serves_https or public_url.startswith("https:")
        self._public_url = public_url
        self._trusted_proxies = trusted_proxies

    def place(self, request: HttpRequest, queue_id: str, token: str) -> tuple[str, str]:
        """Return the header that sets the position token. The cookie lasts a day longer than the token."""
        return self.spell(request, cookie_name(queue_id), token, self._lifetime_s)

    def forget(self, request: HttpRequest, queue_id: str) -> tuple[str, str]:
        """Return the header that deletes the position token."""
        return self.spell(request, cookie_name(queue_id), "", 0)

    def spell(
        self, request: HttpRequest, name: str, value: str, lifetime_s: int, *, is_carried: bool = False
    ) -> tuple[str, str]:
        """Return the header that sets a cookie for this site only, which scripts cannot read.

        With `is_carried`, browsers also send it when another site makes the visitor post a form here, as
        payment providers do. Browsers allow that over HTTPS only.
        """
        if self.is_https(request):
            scope = f"SameSite={'None' if is_carried else 'Lax'}; Secure"
        else:
            scope = "SameSite=Lax"
        return "Set-Cookie", f"{name}={value}; Max-Age={lifetime_s}; Path=/; HttpOnly; {scope}"

    def origin_of(self, request: HttpRequest) -> str:
        """Return the origin to which a request was sent, such as `https://host`. `Host` is not verified."""
        scheme = "https" if self.is_https(request) else "http"
        return f"{scheme}://{request.headers.get('host', 'localhost')}"

    def is_from_here(self, request: HttpRequest) -> bool:
        """Whether the request comes from a page of this server, as far as the browser reports it.

        If a proxy replaced the `Host` header, only the configured public URL can confirm it.
        """
        origin = request.headers.get("origin")
        if origin is None:
            return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
        if origin.lower() == self._public_url.lower():
            return True
        return urlsplit(origin).netloc.lower() == self._host(request)

    def is_on_public_host(self, request: HttpRequest) -> bool:
        """Whether this request was sent to the host on which visitors use this server's pages."""
        return not self._public_url or urlsplit(self._public_url).netloc.lower() == self._host(request)

    def _host(self, request: HttpRequest) -> str:
        """Return the host that the visitor's browser used. `X-Forwarded-Host` counts from trusted proxies."""
        host = request.headers.get("host", "")
        if is_trusted(request.peer, self._trusted_proxies):
            host = request.headers.get("x-forwarded-host", host)
        return host.partition(",")[0].strip().lower()

    def is_https(self, request: HttpRequest) -> bool:
        """Whether the visitor's browser uses HTTPS, to this server or to a trusted proxy in front of it."""
        if self._serves_https:
            return True
        protocol = request.headers.get(_PROTOCOL, "").rpartition(",")[2].strip().lower()
        return protocol == "https" and is_trusted(request.peer, self._trusted_proxies)
