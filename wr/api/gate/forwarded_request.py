"""Reads the visitor's request to the site from the proxy's request to the gate."""

from urllib.parse import quote

import msgspec

from wr.api.authenticated_request import AuthenticatedRequest
from wr.model.entry_url import TOKEN_PARAMETER

_LONGEST_TARGET = 4096
_PAGES = ("document", "iframe", "frame")


class ForwardedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The visitor's request to the site."""

    method: str
    path: str
    """Safe for a redirect: it cannot lead to another site or end a header."""
    query: str
    sent_path: str
    """The path as the visitor sent it and the site will read it. Empty if it is not certain."""
    is_page_view: bool
    """Whether the request is certainly for a page, and not for a picture or a script."""
    may_be_page: bool
    """Whether the request may be for a page. If the browser does not say, every GET request may be."""

    @property
    def is_safe(self) -> bool:
        """Whether the request can be redirected and repeated without loss."""
        return self.method in ("GET", "HEAD")

    @property
    def token(self) -> str | None:
        """The session token in the URL, which the waiting page adds. None if there is none."""
        for part in self.query.split("&"):
            name, _, value = part.partition("=")
            if name == TOKEN_PARAMETER and value:
                return value
        return None

    @property
    def without_token(self) -> str:
        """Path and query, without the token."""
        kept = [part for part in self.query.split("&") if part.partition("=")[0] != TOKEN_PARAMETER]
        return f"{self.path}?{'&'.join(kept)}" if any(kept) else self.path


def names_path(request: AuthenticatedRequest[None]) -> bool:
    """Whether the proxy appends the visitor's path to the gate's own path, as Envoy does."""
    return "rest" in request.parameters


def read_asked(request: AuthenticatedRequest[None]) -> ForwardedRequest:
    """Read the visitor's request. nginx, Caddy and Traefik send it in headers, Envoy in the path."""
    headers = request.http.headers
    # If two headers differ, the proxy may have passed on one that the visitor sent.
    found = {headers[name]: None for name in ("x-original-uri", "x-forwarded-uri") if headers.get(name)}
    if names_path(request):
        sent_path, query = f"/{request.parameters['rest']}", request.http.query
        # The path parameter is decoded.
        path = quote(sent_path, safe="/:@!$&()*+,;=~-._")
    else:
        uri = next(iter(found), "")
        # A URL that is too long is dropped and not cut, because cutting would make another URL of it.
        sent_path, _, query = (uri if len(uri) <= _LONGEST_TARGET else "").partition("?")
        path = sent_path.partition("#")[0]
    # Browsers read two slashes, or a backslash, at the beginning as the name of another site.
    path = "/" + path.lstrip("/\\") if path.startswith("/") else "/"
    method = _method(request)
    destination = headers.get("sec-fetch-dest")
    is_page = destination in _PAGES if destination else "text/html" in headers.get("accept", "")
    purpose = headers.get("sec-purpose", "") + headers.get("purpose", "") + headers.get("x-moz", "")
    return ForwardedRequest(
        method=method,
        path=_safe_in_header(path),
        query=_safe_in_header(query.partition("#")[0]),
        sent_path=sent_path if names_path(request) or len(found) == 1 else "",
        is_page_view=method == "GET" and is_page and "prefetch" not in purpose,
        may_be_page=method == "GET" and (is_page or not destination) and "prefetch" not in purpose,
    )


def _method(request: AuthenticatedRequest[None]) -> str:
    """Return the visitor's method. Empty if two headers differ."""
    headers = request.http.headers
    found = {headers[name] for name in ("x-original-method", "x-forwarded-method") if headers.get(name)}
    if len(found) > 1:
        return ""
    return request.http.method if not found or names_path(request) else found.pop()


def _safe_in_header(text: str) -> str:
    # Spaces and control characters could end the header or its line.
    return quote(text, safe="/%:?#[]@!$&'()*+,;=~-._")
