"""Places kept in cookies, which scripts of a page cannot read: one for each queue.

A client that says `X-WR-Token: cookie` gets its position token in a cookie instead of the answer's body, and
is known by it from then on. No page of another site can say so without leave, and none gets the cookie sent
along: it is of this site only.
"""

import re
from urllib.parse import urlsplit

from wr.api.http_messages import HttpRequest
from wr.model.client_address import Network, is_trusted

TOKEN_HEADER = "x-wr-token"  # noqa: S105 - the name of a header
IN_COOKIE = "cookie"
IN_CLIENT = "client"
"""By this value a client says that it keeps the token itself, and will show it."""
_DAY_S = 24 * 3600
_PROTOCOL = "x-forwarded-proto"


def cookie_name(queue_id: str) -> str:
    """Name the cookie that keeps a place in a queue."""
    return f"wr-{queue_id}"


def wants_cookie(request: HttpRequest) -> bool:
    """Whether the client keeps its token in a cookie."""
    return request.headers.get(TOKEN_HEADER) == IN_COOKIE


def read_cookie(request: HttpRequest, name: str) -> str | None:
    """Read a cookie; None when it was not sent. Of several of that name the first counts (RFC 6265, 5.4)."""
    sent = request.headers.get("cookie")
    if not sent:
        return None
    # Two header lines of it are joined with a comma, which no name or value has.
    for part in re.split("[;,]", sent):
        given, equals, value = part.strip().partition("=")
        if equals and given == name:
            return value or None
    return None


class PlaceCookies:
    """Writes the cookies that keep places, and tells who may use them."""

    def __init__(
        self,
        *,
        lifetime_s: float,
        serves_https: bool,
        trusted_proxies: tuple[Network, ...],
        public_url: str = "",
    ) -> None:
        # A token counts beyond its time while its place is held, which only the store can tell.
        self._lifetime_s = max(1, int(lifetime_s)) + _DAY_S
        self._serves_https = serves_https or public_url.startswith("https:")
        self._public_url = public_url
        self._trusted_proxies = trusted_proxies

    def place(self, request: HttpRequest, queue_id: str, token: str) -> tuple[str, str]:
        """Spell the header that keeps a place until a day after its token's time."""
        return self.spell(request, cookie_name(queue_id), token, self._lifetime_s)

    def forget(self, request: HttpRequest, queue_id: str) -> tuple[str, str]:
        """Spell the header that forgets a place."""
        return self.spell(request, cookie_name(queue_id), "", 0)

    def spell(
        self, request: HttpRequest, name: str, value: str, lifetime_s: int, *, is_carried: bool = False
    ) -> tuple[str, str]:
        """Spell a header that sets a cookie no script can read, of this site only.

        One that is carried comes along too when another site has the visitor post something here, as payment
        providers do; browsers allow that over https only.
        """
        if self.is_https(request):
            scope = f"SameSite={'None' if is_carried else 'Lax'}; Secure"
        else:
            scope = "SameSite=Lax"
        return "Set-Cookie", f"{name}={value}; Max-Age={lifetime_s}; Path=/; HttpOnly; {scope}"

    def origin_of(self, request: HttpRequest) -> str:
        """Name the origin that a request came to, as far as its headers can be believed: `https://host`."""
        scheme = "https" if self.is_https(request) else "http"
        return f"{scheme}://{request.headers.get('host', 'localhost')}"

    def is_from_here(self, request: HttpRequest) -> bool:
        """Whether a browser sends this from a page of this very site, as far as it says where from.

        Who is between may have written another host into the request: then only the public address tells.
        """
        origin = request.headers.get("origin")
        if origin is None:
            return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
        if origin.lower() == self._public_url.lower():
            return True
        return urlsplit(origin).netloc.lower() == self._host(request)

    def is_on_public_host(self, request: HttpRequest) -> bool:
        """Whether visitors reach this server's pages on the host that this request came to."""
        return not self._public_url or urlsplit(self._public_url).netloc.lower() == self._host(request)

    def _host(self, request: HttpRequest) -> str:
        """Name the host that the visitor's browser asked, as far as a proxy in between can be believed."""
        host = request.headers.get("host", "")
        if is_trusted(request.peer, self._trusted_proxies):
            host = request.headers.get("x-forwarded-host", host)
        return host.partition(",")[0].strip().lower()

    def is_https(self, request: HttpRequest) -> bool:
        """Whether the visitor's browser came by https: to this server, or to a trusted proxy before it."""
        if self._serves_https:
            return True
        protocol = request.headers.get(_PROTOCOL, "").rpartition(",")[2].strip().lower()
        return protocol == "https" and is_trusted(request.peer, self._trusted_proxies)
