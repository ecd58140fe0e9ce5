"""Operations that answer with pages, and with the files that pages are made of."""

import trio

from wr.api.request_context import Answer, Page, RequestContext, Services
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


async def asset(services: Services, context: RequestContext) -> Answer:
    """Give a file of the pages: a script, a style sheet, a picture."""
    found = await _read(services, context.parameters["name"])
    if found is None:
        raise NotFound("There is no such file")
    is_named_by_version = context.request.query == f"v={found.version}"
    return asset_answer(context, found, FOR_EVER if is_named_by_version else ASK_EACH_TIME)


async def admin_console(services: Services, context: RequestContext) -> Answer:
    """Give the console of the person who runs the sale; it asks for the admin key itself."""
    return page_answer(context, "admin.html", services)


async def index(services: Services, context: RequestContext) -> Answer:
    """Say what this server is, and where its pages are."""
    return page_answer(context, "index.html", services)


async def icon(services: Services, context: RequestContext) -> Answer:
    """Give the icon where browsers look for one beside what is no page, as the description of the API."""
    found = services.assets.find("icon.svg")
    if found is None:
        raise NotFound("There is no such file")
    return asset_answer(context, found, ASK_EACH_TIME)


async def docs(services: Services, context: RequestContext) -> Answer:
    """Show the description of the API, to be tried out; or say how to get what shows it."""
    is_complete = all(map(services.assets.holds, VIEWER))
    return page_answer(context, "docs.html" if is_complete else "docs-without-viewer.html", services)


async def _read(services: Services, name: str) -> Asset | None:
    """Find an asset; what is read for the first time is compressed, which takes others' scripts too long to
    keep everybody else waiting."""
    found = services.assets.at_hand(name)
    if found is None and services.assets.holds(name):
        found = await trio.to_thread.run_sync(services.assets.find, name)
    return found


def asset_answer(
    context: RequestContext, asset: Asset, caching: str, headers: list[tuple[str, str]] | None = None
) -> Answer:
    """Answer with an asset: compressed for clients that take that, and 304 for those that have it."""
    encodings = context.request.headers.get("accept-encoding", "")
    takes_gzip = asset.compressed is not None and "gzip" in encodings
    tag = f'"{asset.version}{"-gzip" if takes_gzip else ""}"'
    more = [("ETag", tag), ("Vary", "Accept-Encoding"), *(headers or [])]
    status = 304 if context.request.headers.get("if-none-match") == tag else 200
    if takes_gzip and asset.compressed is not None:
        page = Page(asset.compressed, asset.content_type, caching)
        return Answer(status, page, headers=[("Content-Encoding", "gzip"), *more])
    return Answer(status, Page(asset.content, asset.content_type, caching), headers=more)


def page_answer(context: RequestContext, name: str, services: Services) -> Answer:
    """Answer with a page that is the same for everybody, an HTML file among the assets.

    Raises:
        NotFound: there is no such file.
    """
    found = services.assets.find(name)
    if found is None:
        raise NotFound("There is no such page")
    return asset_answer(context, found, ASK_EACH_TIME, page_headers())


def page_headers(
    policy: str = CONTENT_SECURITY_POLICY, referrer: str = "strict-origin-when-cross-origin"
) -> list[tuple[str, str]]:
    """Give the headers that keep a page to itself. `referrer` says what others learn of its address."""
    return [
        ("Content-Security-Policy", policy),
        ("Referrer-Policy", referrer),
        ("Permissions-Policy", "camera=(), microphone=(), geolocation=()"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
    ]
