"""Operations of the waiting page: the page itself, its QR code for posters, and its JavaScript module."""

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlencode

import msgspec

from wr.api.authenticated_request import AuthenticatedRequest
from wr.api.http_messages import Headers, HttpRequest, HttpResponse
from wr.api.message_readers import MOST_QUERY_FIELDS
from wr.api.pages.file_operations import ASK_EACH_TIME, asset_response, page_headers
from wr.api.pages.page_cache import HTML
from wr.api.place_cookies import cookie_name, read_cookie
from wr.api.services import Services
from wr.model import refusals
from wr.model.entry_url import is_way_back
from wr.model.ids import is_queue_id
from wr.model.queue_settings import QueueConfig
from wr.model.refusals import NotFound, Refusal
from wr.model.refused_sessions import REFUSED_PARAMETER, read_refused
from wr.model.tokens import ExpiredToken, InvalidToken
from wr.web.page_content import Shown

if TYPE_CHECKING:
    from wr.web.languages import Language

LANGUAGE_COOKIE = "wr_language"
TRY_AGAIN_S = (20.0, 40.0)
"""Range of seconds after which a visitor without a place should try again."""
STATES: dict[type[Refusal], str] = {
    refusals.QueueFull: "full",
    refusals.Maintenance: "maintenance",
    refusals.RateLimited: "limited",
    refusals.NotFound: "unknown",
    refusals.IdentityTaken: "identity_taken",
    refusals.TooManyPlaces: "too_many_places",
    refusals.Blocked: "blocked",
    refusals.PassRequired: "pass_required",
}
"""The page's state for each refusal. A refused pass has a state for each reason. All other refusals have the
state `unavailable`, because they are temporary."""
_STATUSES = {"unknown": 404, "limited": 429}
_LONGEST_ORIGIN = 280
_DAY_S = 24 * 3600
_YEAR_S = 365 * _DAY_S
_FROM_ANYWHERE = [("Access-Control-Allow-Origin", "*"), ("Cross-Origin-Resource-Policy", "cross-origin")]


class PageOptions(msgspec.Struct, frozen=True):
    """The options in the URL of a waiting page."""

    language: str
    is_plain: bool
    """Whether the page works without scripts: loading it joins, and it reloads itself."""
    has_left: bool
    refused: str
    """The gate's signed note that it refused a session to the visitor. Empty if there is none."""
    back: str
    """The path of the site to return to after admission. Empty if there is none."""
    brought_pass: str = ""
    """The pass in an invitation link. Empty if there is none."""

    @property
    def referrer(self) -> str:
        """The Referrer-Policy of the page. With a pass in the URL, no referrer is sent, to keep it secret."""
        return "no-referrer" if self.brought_pass else "strict-origin-when-cross-origin"


async def waiting_page(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Return the waiting page of a queue, whose script joins."""
    config = (await services.visitors.view(request.queue_id)).config
    options = read_wishes(request.http, request.queue_id)
    language = await services.page_cache.language(
        options.language, request.http.headers.get("accept-language", "")
    )
    state = "left" if options.has_left else "joining"
    headers = [("Vary", "Accept-Language, Cookie"), *remember_wishes(services, request, options, language)]
    if has_refused_place(services, request, options):
        headers.append(services.cookies.forget(request.http, config.id))
    if options.brought_pass:
        content, policy = await services.page_cache.invited(config, language, state, options.brought_pass)
        headers = [*page_headers(policy, options.referrer), *headers]
        return HttpResponse(200, content, HTML, extra_headers=headers)
    page, policy = await services.page_cache.scripted(config, language, state)
    return asset_response(request.http, page, ASK_EACH_TIME, [*page_headers(policy), *headers])


def has_refused_place(services: Services, request: AuthenticatedRequest[None], options: PageOptions) -> bool:
    """Whether the browser's cookie holds the place whose session the gate has just refused.

    The gate's note is signed and names the position. So a link with a note cannot end another visitor's
    place.
    """
    if not options.refused:
        return False
    position_id = read_refused(options.refused, services.signing_keys.ring, services.clock_ms())
    token = read_cookie(request.http, cookie_name(request.queue_id))
    if position_id is None or token is None:
        return False
    try:
        proof = services.signing_keys.position_now(token)
    except (InvalidToken, ExpiredToken):
        return False
    return proof is not None and proof.claims.position_id == position_id


async def refused_page(
    services: Services, http: HttpRequest, queue_id: str, refusal: Refusal
) -> HttpResponse:
    """Return a refusal as a page: unknown queue, too many requests, or the store is unreachable."""
    state = state_of(refusal)
    options = read_wishes(http, queue_id)
    language = await services.page_cache.language(options.language, http.headers.get("accept-language", ""))
    config = QueueConfig(
        id=queue_id if is_queue_id(queue_id) else "-", name=language.text("room"), target_url=""
    )
    shown = Shown(brought_pass=options.brought_pass)
    page = await services.page_cache.render(config, language, state, shown, is_plain=True)
    headers = page_headers(page.policy, options.referrer)
    if state != "unknown":
        headers.append(refresh(services, *TRY_AGAIN_S))
    return HttpResponse(_STATUSES.get(state, 503), page.content, HTML, extra_headers=headers)


def state_of(refusal: Refusal) -> str:
    """Return the page's state for a refusal."""
    if isinstance(refusal, refusals.PassInvalid):
        return f"pass_{refusal.details['reason']}"
    return STATES.get(type(refusal), "unavailable")


async def qr_code(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Return the QR code of a waiting page's URL, for posters and screens."""
    queue_id = request.queue_id
    await services.visitors.view(queue_id)
    origin = services.public_url or services.cookies.origin_of(request.http)
    if len(origin) > _LONGEST_ORIGIN:
        raise refusals.InvalidRequest("The name of the host is too long")

    picture = await services.qr_codes.picture(f"{origin}/wait/{quote(queue_id)}")
    return HttpResponse(200, picture, "image/svg+xml")


async def client_module(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Return the JavaScript client of the waiting page. Other sites may load it too."""
    return _public_asset(services, request, "wr.js")


async def client_types(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Return the TypeScript types of the JavaScript client."""
    return _public_asset(services, request, "wr.d.ts")


def _public_asset(services: Services, request: AuthenticatedRequest[None], name: str) -> HttpResponse:
    found = services.assets.find(name)
    if found is None:
        raise NotFound("There is no such file")
    return asset_response(request.http, found, ASK_EACH_TIME, _FROM_ANYWHERE)


def read_wishes(http: HttpRequest, queue_id: str) -> PageOptions:
    """Read the options in the URL, and those that cookies remember."""
    try:
        query = parse_qs(http.query, keep_blank_values=True, max_num_fields=MOST_QUERY_FIELDS)
    except ValueError:
        query = {}
    cookie = read_cookie(http, back_cookie_name(queue_id)) or ""
    back = query.get("return", [""])[0] or unquote(cookie)
    return PageOptions(
        language=query.get("lang", [""])[0] or read_cookie(http, LANGUAGE_COOKIE) or "",
        is_plain="plain" in query,
        has_left="left" in query,
        refused=query.get(REFUSED_PARAMETER, [""])[0],
        back=back if is_way_back(back) else "",
        brought_pass=query.get("pass", [""])[0],
    )


def address_without_pass(request: AuthenticatedRequest[None]) -> str:
    """Return the URL of this request without its pass. Other parameters stay.

    Raises:
        ValueError: the URL has more than 20 parameters. Then `read_wishes` finds no pass in it either.
    """
    fields = parse_qsl(request.http.query, keep_blank_values=True, max_num_fields=MOST_QUERY_FIELDS)
    query = urlencode([(name, value) for name, value in fields if name != "pass"])
    return f"/wait/{quote(request.queue_id)}?{query}"


def back_cookie_name(queue_id: str) -> str:
    """Return the name of the cookie with the path to return to."""
    return f"wr_back-{queue_id}"


def remember_wishes(
    services: Services, request: AuthenticatedRequest[None], options: PageOptions, language: "Language"
) -> Headers:
    """Return the cookies that remember the language and the path to return to, if the URL sets them."""
    remembered = []
    if "lang=" in request.http.query and options.language == language.code:
        remembered.append(services.cookies.spell(request.http, LANGUAGE_COOKIE, language.code, _YEAR_S))
    if "return=" in request.http.query and options.back:
        name = back_cookie_name(request.queue_id)
        remembered.append(services.cookies.spell(request.http, name, quote(options.back, safe="/"), _DAY_S))
    return remembered


def refresh(services: Services, least_s: float, most_s: float) -> tuple[str, str]:
    """Return the header that reloads a page after a random time, so that not all visitors reload at once."""
    return "Refresh", str(max(1, int(least_s + (most_s - least_s) * services.random())))
