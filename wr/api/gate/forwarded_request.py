"""What a visitor asked the site for, as the proxy in between tells it to the gate."""

from urllib.parse import quote

import msgspec

from wr.api.authenticated_request import AuthenticatedRequest
from wr.model.entry_url import TOKEN_PARAMETER

_LONGEST_TARGET = 4096
_PAGES = ("document", "iframe", "frame")


class ForwardedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the visitor asked the site for."""

    method: str
    path: str
    """Made safe to be sent back to: it names no other site, and nothing in it ends a header."""
    query: str
    sent_path: str
    """As it was sent, which is what the site will read; empty where it cannot be known for sure."""
    is_page_view: bool
    """Whether a page is surely looked at, rather than a picture or a script of it."""
    may_be_page: bool
    """Whether a page may be looked at: where the browser does not say, whatever is asked for by GET."""

    @property
    def is_safe(self) -> bool:
        """Whether nothing is lost when it is asked for once more, from elsewhere."""
        return self.method in ("GET", "HEAD")

    @property
    def token(self) -> str | None:
        """The session token that a visitor brings from the waiting page, if there is one."""
        for part in self.query.split("&"):
            name, _, value = part.partition("=")
            if name == TOKEN_PARAMETER and value:
                return value
        return None

    @property
    def without_token(self) -> str:
        """Path and query without the token."""
        kept = [part for part in self.query.split("&") if part.partition("=")[0] != TOKEN_PARAMETER]
        return f"{self.path}?{'&'.join(kept)}" if any(kept) else self.path


def names_path(request: AuthenticatedRequest[None]) -> bool:
    """Whether the proxy appends what was asked for to the gate's own path, as Envoy does."""
    return "rest" in request.parameters


def read_asked(request: AuthenticatedRequest[None]) -> ForwardedRequest:
    """Read what the visitor asked for: nginx, Caddy and Traefik say it in headers, Envoy in the path."""
    headers = request.http.headers
    # Two that differ: one of them may be the visitor's own, which the proxy has let through.
    named = {headers[name]: None for name in ("x-original-uri", "x-forwarded-uri") if headers.get(name)}
    if names_path(request):
        sent_path, query = f"/{request.parameters['rest']}", request.http.query
        # It comes decoded.
        path = quote(sent_path, safe="/:@!$&()*+,;=~-._")
    else:
        uri = next(iter(named), "")
        # Cut, it would be another address: to such a length there is no way back, and it is not open.
        sent_path, _, query = (uri if len(uri) <= _LONGEST_TARGET else "").partition("?")
        path = sent_path.partition("#")[0]
    # Two slashes, or a backslash, would begin the name of another site.
    path = "/" + path.lstrip("/\\") if path.startswith("/") else "/"
    method = _method(request)
    destination = headers.get("sec-fetch-dest")
    is_page = destination in _PAGES if destination else "text/html" in headers.get("accept", "")
    purpose = headers.get("sec-purpose", "") + headers.get("purpose", "") + headers.get("x-moz", "")
    return ForwardedRequest(
        method=method,
        path=_tame(path),
        query=_tame(query.partition("#")[0]),
        sent_path=sent_path if names_path(request) or len(named) == 1 else "",
        is_page_view=method == "GET" and is_page and "prefetch" not in purpose,
        may_be_page=method == "GET" and (is_page or not destination) and "prefetch" not in purpose,
    )


def _method(request: AuthenticatedRequest[None]) -> str:
    """Name the visitor's method; nothing where two headers name two."""
    headers = request.http.headers
    named = {headers[name] for name in ("x-original-method", "x-forwarded-method") if headers.get(name)}
    if len(named) > 1:
        return ""
    return request.http.method if not named or names_path(request) else named.pop()


def _tame(text: str) -> str:
    # Spaces and control characters would end the header or the line it goes into.
    return quote(text, safe="/%:?#[]@!$&'()*+,;=~-._")
