"""Operations of the waiting page: the page itself, its picture for posters, and the module it is made of."""

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlencode

import msgspec

from wr.api.authenticated_request import AuthenticatedRequest
from wr.api.http_messages import Headers, HttpRequest, HttpResponse
from wr.api.pages.file_operations import ASK_EACH_TIME, asset_response, page_headers
from wr.api.pages.page_cache import HTML
from wr.api.place_cookies import cookie_name, read_cookie
from wr.api.services import Services
from wr.model import refusals
from wr.model.entry_url import is_way_back
from wr.model.ids import is_queue_id
from wr.model.queue import QueueConfig
from wr.model.refusals import NotFound, Refusal
from wr.model.refused_sessions import REFUSED_PARAMETER, read_refused
from wr.model.tokens import ExpiredToken, InvalidToken
from wr.web.page_content import Shown

if TYPE_CHECKING:
    from wr.web.languages import Language

LANGUAGE_COOKIE = "wr_language"
TRY_AGAIN_S = (20.0, 40.0)
"""Between these, in seconds, somebody who got no place is to ask again."""
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
"""What a refusal is to a visitor. A pass that is refused has a state for each reason; every other refusal is
something that passes."""
_STATUSES = {"unknown": 404, "limited": 429}
_MOST_FIELDS = 20
_LONGEST_ORIGIN = 280
_DAY_S = 24 * 3600
_YEAR_S = 365 * _DAY_S
_FROM_ANYWHERE = [("Access-Control-Allow-Origin", "*"), ("Cross-Origin-Resource-Policy", "cross-origin")]


class PageOptions(msgspec.Struct, frozen=True):
    """What the address of a waiting page asks for."""

    language: str
    is_plain: bool
    """Without scripts: the page itself joins, and refreshes."""
    has_left: bool
    refused: str
    """The gate's note that the visitor was refused a session; empty where there is none."""
    back: str
    """Where on the site the visitor wanted to go; empty where that is not said."""
    brought_pass: str = ""
    """The pass of an invitation link; empty for none."""

    @property
    def referrer(self) -> str:
        """The Referrer-Policy of a page at this address: no other address learns of a pass."""
        return "no-referrer" if self.brought_pass else "strict-origin-when-cross-origin"


async def waiting_page(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Show the waiting page of a queue, which joins by its script."""
    config = (await services.visitors.view(request.queue_id)).config
    wishes = read_wishes(request.http, request.queue_id)
    language = await services.page_cache.language(
        wishes.language, request.http.headers.get("accept-language", "")
    )
    state = "left" if wishes.has_left else "joining"
    headers = [("Vary", "Accept-Language, Cookie"), *remember_wishes(services, request, wishes, language)]
    if has_refused_place(services, request, wishes):
        headers.append(services.cookies.forget(request.http, config.id))
    if wishes.brought_pass:
        content, policy = await services.page_cache.invited(config, language, state, wishes.brought_pass)
        headers = [*page_headers(policy, wishes.referrer), *headers]
        return HttpResponse(200, content, HTML, extra_headers=headers)
    page, policy = await services.page_cache.scripted(config, language, state)
    return asset_response(request.http, page, ASK_EACH_TIME, [*page_headers(policy), *headers])


def has_refused_place(services: Services, request: AuthenticatedRequest[None], wishes: PageOptions) -> bool:
    """Whether the browser keeps the place whose session the gate has refused to it just now.

    The note is signed and names the position, so that a link that somebody spreads costs no visitor a place.
    """
    if not wishes.refused:
        return False
    position_id = read_refused(wishes.refused, services.signing_keys.ring, services.clock_ms())
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
    """Tell a refusal on a page: no such queue, too many tries, the store is away."""
    state = state_of(refusal)
    wishes = read_wishes(http, queue_id)
    language = await services.page_cache.language(wishes.language, http.headers.get("accept-language", ""))
    config = QueueConfig(
        id=queue_id if is_queue_id(queue_id) else "-", name=language.text("room"), target_url=""
    )
    shown = Shown(brought_pass=wishes.brought_pass)
    page = await services.page_cache.render(config, language, state, shown, is_plain=True)
    headers = page_headers(page.policy, wishes.referrer)
    if state != "unknown":
        headers.append(refresh(services, *TRY_AGAIN_S))
    return HttpResponse(_STATUSES.get(state, 503), page.content, HTML, extra_headers=headers)


def state_of(refusal: Refusal) -> str:
    """Name the state of the page that tells a visitor of a refusal."""
    if isinstance(refusal, refusals.PassInvalid):
        return f"pass_{refusal.details['reason']}"
    return STATES.get(type(refusal), "unavailable")


async def qr_code(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Draw the address of a waiting page as a QR code, for posters and screens."""
    queue_id = request.queue_id
    await services.visitors.view(queue_id)
    origin = services.public_url or services.cookies.origin_of(request.http)
    if len(origin) > _LONGEST_ORIGIN:
        raise refusals.InvalidRequest("No host has a name as long as this")

    picture = await services.qr_codes.picture(f"{origin}/wait/{quote(queue_id)}")
    return HttpResponse(200, picture, "image/svg+xml")


async def client_module(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Give the page's client, which other sites may embed too."""
    return _of_the_module(services, request, "wr.js")


async def client_types(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Give the types of the page's client."""
    return _of_the_module(services, request, "wr.d.ts")


def _of_the_module(services: Services, request: AuthenticatedRequest[None], name: str) -> HttpResponse:
    found = services.assets.find(name)
    if found is None:
        raise NotFound("There is no such file")
    return asset_response(request.http, found, ASK_EACH_TIME, _FROM_ANYWHERE)


def read_wishes(http: HttpRequest, queue_id: str) -> PageOptions:
    """Read what the address asks for, and the language that was chosen before."""
    try:
        query = parse_qs(http.query, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
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
    """Spell the address of the page that was asked for, without its pass; all else in it stays.

    Raises:
        ValueError: the address has more than 20 fields, and so no wishes either.
    """
    fields = parse_qsl(request.http.query, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    query = urlencode([(name, value) for name, value in fields if name != "pass"])
    return f"/wait/{quote(request.queue_id)}?{query}"


def back_cookie_name(queue_id: str) -> str:
    """Name the cookie that keeps where a visitor wanted to go."""
    return f"wr_back-{queue_id}"


def remember_wishes(
    services: Services, request: AuthenticatedRequest[None], wishes: PageOptions, language: "Language"
) -> Headers:
    """Spell the headers that remember a language chosen just now, and where the visitor wanted to go."""
    remembered = []
    if "lang=" in request.http.query and wishes.language == language.code:
        remembered.append(services.cookies.spell(request.http, LANGUAGE_COOKIE, language.code, _YEAR_S))
    if "return=" in request.http.query and wishes.back:
        name = back_cookie_name(request.queue_id)
        remembered.append(services.cookies.spell(request.http, name, quote(wishes.back, safe="/"), _DAY_S))
    return remembered


def refresh(services: Services, least_s: float, most_s: float) -> tuple[str, str]:
    """Spell the header that has a page ask again, after a while that is another for everybody."""
    return "Refresh", str(max(1, int(least_s + (most_s - least_s) * services.random())))
