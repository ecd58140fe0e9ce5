"""Operations that answer with pages, and with the files that pages are made of."""

from collections.abc import Iterable

import trio

from wr.api.authenticated_request import AuthenticatedRequest
from wr.api.http_messages import Headers, HttpRequest, HttpResponse
from wr.api.services import Services
from wr.model.refusals import NotFound
from wr.web.assets import Asset

FOR_EVER = "public, max-age=31536000, immutable"
ASK_EACH_TIME = "no-cache"
"""May be kept, and is to be asked for again each time: a 304 tells that it has not changed."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing from elsewhere, nothing inline, and in nobody's frame."""

VIEWER = ("swagger-ui-bundle.js", "swagger-ui.css")
"""Files of others that show the description of the API; `./scripts/vendor` fetches them."""


async def asset(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Give a file of the pages: a script, a style sheet, a picture."""
    found = await _read(services, request.parameters["name"])
    if found is None:
        raise NotFound("There is no such file")
    is_named_by_version = request.http.query == f"v={found.version}"
    return asset_response(request.http, found, FOR_EVER if is_named_by_version else ASK_EACH_TIME)


async def admin_console(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Give the console of the person who runs the sale; it asks for the admin key itself."""
    return page_response(request.http, "admin.html", services)


async def index(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Say what this server is, and where its pages are."""
    return page_response(request.http, "index.html", services)


async def icon(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Give the icon where browsers look for one beside what is no page, as the description of the API."""
    found = services.assets.find("icon.svg")
    if found is None:
        raise NotFound("There is no such file")
    return asset_response(request.http, found, ASK_EACH_TIME)


async def docs(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Show the description of the API, to be tried out; or say how to get what shows it."""
    is_complete = all(map(services.assets.holds, VIEWER))
    return page_response(request.http, "docs.html" if is_complete else "docs-without-viewer.html", services)


async def _read(services: Services, name: str) -> Asset | None:
    """Find an asset; what is read for the first time is compressed, which takes others' scripts too long to
    keep everybody else waiting."""
    found = services.assets.at_hand(name)
    if found is None and services.assets.holds(name):
        found = await trio.to_thread.run_sync(services.assets.find, name)
    return found


def asset_response(
    http: HttpRequest, asset: Asset, caching: str, headers: Iterable[tuple[str, str]] = ()
) -> HttpResponse:
    """Answer with an asset: compressed for clients that take that, and 304 for those that have it."""
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
    """Answer with a page that is the same for everybody, an HTML file among the assets.

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
    """Give the headers that keep a page to itself. `referrer` says what others learn of its address."""
    return [
        ("Content-Security-Policy", policy),
        ("Referrer-Policy", referrer),
        ("Permissions-Policy", "camera=(), microphone=(), geolocation=()"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
    ]
