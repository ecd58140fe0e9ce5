"""Operations that return static pages and files: scripts, style sheets, pictures."""

from collections.abc import Iterable

import trio

from wr.api.authenticated_request import AuthenticatedRequest
from wr.api.http_messages import Headers, HttpRequest, HttpResponse
from wr.api.services import Services
from wr.model.refusals import NotFound
from wr.web.assets import Asset

FOR_EVER = "public, max-age=31536000, immutable"
ASK_EACH_TIME = "no-cache"
"""The browser may cache the file, but has to ask each time whether it has changed. A 304 says it has not."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Allows nothing from other hosts, nothing inline, and no frames around the page."""

VIEWER = ("swagger-ui-bundle.js", "swagger-ui.css")
"""Third-party files that show the API reference. `./scripts/vendor` fetches them."""


async def asset(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Return a file of the pages: a script, a style sheet or a picture."""
    found = await _read(services, request.parameters["name"])
    if found is None:
        raise NotFound("There is no such file")
    is_named_by_version = request.http.query == f"v={found.version}"
    return asset_response(request.http, found, FOR_EVER if is_named_by_version else ASK_EACH_TIME)


async def admin_console(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Return the console for operators. The page itself asks for the admin key."""
    return page_response(request.http, "admin.html", services)


async def index(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Return the front page: what this server is, and where its pages are."""
    return page_response(request.http, "index.html", services)


async def icon(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Return the icon. Browsers request it for documents that link no icon, such as the OpenAPI document."""
    found = services.assets.find("icon.svg")
    if found is None:
        raise NotFound("There is no such file")
    return asset_response(request.http, found, ASK_EACH_TIME)


async def docs(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Return the API reference, or a page that says how to install its viewer."""
    is_complete = all(map(services.assets.holds, VIEWER))
    return page_response(request.http, "docs.html" if is_complete else "docs-without-viewer.html", services)


async def _read(services: Services, name: str) -> Asset | None:
    """Find an asset.

    The first time, it is read and compressed in a thread. For the large third-party scripts that would block
    other requests for too long.
    """
    found = services.assets.at_hand(name)
    if found is None and services.assets.holds(name):
        found = await trio.to_thread.run_sync(services.assets.find, name)
    return found


def asset_response(
    http: HttpRequest, asset: Asset, caching: str, headers: Iterable[tuple[str, str]] = ()
) -> HttpResponse:
    """Return the response for an asset: compressed if the client accepts it, and 304 if the client has it."""
    encodings = http.headers.get("accept-encoding", "")
    takes_gzip = asset.compressed is not None and "gzip" in encodings
    tag = f'"{asset.version}{"-gzip" if takes_gzip else ""}"'
    more = [("ETag", tag), ("Vary", "Accept-Encoding"), *headers]
    status = 304 if http.headers.get("if-none-match") == tag else 200
    if takes_gzip and asset.compressed is not None:
        content, more = asset.compressed, [("Content-Encoding", "gzip"), *more]
    else:
        content = asset.content
    return HttpResponse(status, content, asset.content_type, extra_headers=more, caching=caching)


def page_response(http: HttpRequest, name: str, services: Services) -> HttpResponse:
    """Return the response for a page that is the same for all visitors: an HTML file among the assets.

    Raises:
        NotFound: there is no such file.
    """
    found = services.assets.find(name)
    if found is None:
        raise NotFound("There is no such page")
    return asset_response(http, found, ASK_EACH_TIME, page_headers())


def page_headers(
    policy: str = CONTENT_SECURITY_POLICY, referrer: str = "strict-origin-when-cross-origin"
) -> Headers:
    """Return the security headers of a page. `referrer` is its Referrer-Policy."""
    return [
        ("Content-Security-Policy", policy),
        ("Referrer-Policy", referrer),
        ("Permissions-Policy", "camera=(), microphone=(), geolocation=()"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
    ]
