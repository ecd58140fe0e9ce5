"""Operations of the waiting page: the page itself, its picture for posters, and the module it is made of."""

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, unquote

import msgspec

from wr.api.calls import Answer, Call, Page, Services
from wr.api.cookies import cookie_name, read_cookie
from wr.api.page_operations import ASK_EACH_TIME, asset_answer, page_headers
from wr.api.waiting_desk import HTML
from wr.model import refusals
from wr.model.entry import is_way_back
from wr.model.ids import is_queue_id
from wr.model.queue import QueueConfig
from wr.model.refusals import NotFound, Refusal
from wr.model.refused_sessions import REFUSED_PARAMETER, read_refused
from wr.model.tokens import ExpiredToken, InvalidToken

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
}
"""What a refusal is to a visitor; every other is something that passes."""
_STATUSES = {"unknown": 404, "limited": 429}
_LONGEST_ORIGIN = 280
_DAY_S = 24 * 3600
_YEAR_S = 365 * _DAY_S
_FROM_ANYWHERE = [("Access-Control-Allow-Origin", "*"), ("Cross-Origin-Resource-Policy", "cross-origin")]


class Wishes(msgspec.Struct, frozen=True):
    """What the address of a waiting page asks for."""

    language: str
    is_plain: bool
    """Without scripts: the page itself joins, and refreshes."""
    has_left: bool
    refused: str
    """The gate's note that the visitor was refused a session; empty where there is none."""
    back: str
    """Where on the site the visitor wanted to go; empty where that is not said."""


async def waiting_page(services: Services, call: Call) -> Answer:
    """Show the waiting page of a queue, which joins by its script."""
    config = (await services.room.view(call.parameters["queue_id"])).config
    wishes = read_wishes(call)
    language = await services.desk.language(wishes.language, call.request.headers.get("accept-language", ""))
    state = "left" if wishes.has_left else "joining"
    page, policy = await services.desk.scripted(config, language, state)
    headers = [
        *page_headers(policy),
        ("Vary", "Accept-Language, Cookie"),
        *remember_wishes(services, call, wishes, language),
    ]
    if has_refused_place(services, call, wishes):
        headers.append(services.cookies.forget(call.request, config.id))
    return asset_answer(call, page, ASK_EACH_TIME, headers)


def has_refused_place(services: Services, call: Call, wishes: Wishes) -> bool:
    """Whether the browser keeps the place whose session the gate has refused to it just now.

    The note is signed and names the position, so that a link that somebody spreads costs no visitor a place.
    """
    if not wishes.refused:
        return False
    position_id = read_refused(wishes.refused, services.keeper.ring, services.clock_ms())
    token = read_cookie(call.request, cookie_name(call.parameters["queue_id"]))
    if position_id is None or token is None:
        return False
    try:
        claims = services.keeper.position_now(token)
    except (InvalidToken, ExpiredToken):
        return False
    return claims is not None and claims.position_id == position_id


async def refused_page(services: Services, call: Call, refusal: Refusal) -> Answer:
    """Tell a refusal on a page: no such queue, too many tries, the store is away."""
    state = STATES.get(type(refusal), "unavailable")
    wishes = read_wishes(call)
    language = await services.desk.language(wishes.language, call.request.headers.get("accept-language", ""))
    queue_id = call.parameters.get("queue_id", "")
    config = QueueConfig(
        id=queue_id if is_queue_id(queue_id) else "-", name=language.text("room"), target_url=""
    )
    page = await services.desk.render(config, language, state, is_plain=True)
    headers = page_headers(page.policy)
    if state != "unknown":
        headers.append(refresh(services, *TRY_AGAIN_S))
    return Answer(_STATUSES.get(state, 503), Page(page.content, HTML), headers=headers)


async def qr_code(services: Services, call: Call) -> Answer:
    """Draw the address of a waiting page as a QR code, for posters and screens."""
    queue_id = call.parameters["queue_id"]
    await services.room.view(queue_id)
    origin = services.public_url or services.cookies.origin_of(call.request)
    if len(origin) > _LONGEST_ORIGIN:
        raise refusals.InvalidRequest("No host has a name as long as this")

    picture = await services.qr_codes.picture(f"{origin}/wait/{quote(queue_id)}")
    return Answer(200, Page(picture, "image/svg+xml"))


async def client_module(services: Services, call: Call) -> Answer:
    """Give the page's client, which other sites may embed too."""
    return _of_the_module(services, call, "wr.js")


async def client_types(services: Services, call: Call) -> Answer:
    """Give the types of the page's client."""
    return _of_the_module(services, call, "wr.d.ts")


def _of_the_module(services: Services, call: Call, name: str) -> Answer:
    found = services.assets.find(name)
    if found is None:
        raise NotFound("There is no such file")
    return asset_answer(call, found, ASK_EACH_TIME, _FROM_ANYWHERE)


def read_wishes(call: Call) -> Wishes:
    """Read what the address asks for, and the language that was chosen before."""
    try:
        query = parse_qs(call.request.query, keep_blank_values=True, max_num_fields=20)
    except ValueError:
        query = {}
    cookie = read_cookie(call.request, back_cookie_name(call.parameters.get("queue_id", ""))) or ""
    back = query.get("return", [""])[0] or unquote(cookie)
    return Wishes(
        language=query.get("lang", [""])[0] or read_cookie(call.request, LANGUAGE_COOKIE) or "",
        is_plain="plain" in query,
        has_left="left" in query,
        refused=query.get(REFUSED_PARAMETER, [""])[0],
        back=back if is_way_back(back) else "",
    )


def back_cookie_name(queue_id: str) -> str:
    """Name the cookie that keeps where a visitor wanted to go."""
    return f"wr_back-{queue_id}"


def remember_wishes(
    services: Services, call: Call, wishes: Wishes, language: "Language"
) -> list[tuple[str, str]]:
    """Spell the headers that remember a language chosen just now, and where the visitor wanted to go."""
    remembered = []
    if "lang=" in call.request.query and wishes.language == language.code:
        remembered.append(services.cookies.spell(call.request, LANGUAGE_COOKIE, language.code, _YEAR_S))
    if "return=" in call.request.query and wishes.back:
        name = back_cookie_name(call.parameters["queue_id"])
        remembered.append(services.cookies.spell(call.request, name, quote(wishes.back, safe="/"), _DAY_S))
    return remembered


def refresh(services: Services, least_s: float, most_s: float) -> tuple[str, str]:
    """Spell the header that has a page ask again, after a while that is another for everybody."""
    return "Refresh", str(max(1, int(least_s + (most_s - least_s) * services.random())))
