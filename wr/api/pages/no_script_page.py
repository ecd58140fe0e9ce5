"""The waiting page for browsers without scripts: loading the page joins, and the page reloads itself."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from wr.api.authenticated_request import AuthenticatedRequest
from wr.api.errors import PLACES_RETRY_AFTER_S, refusal_headers, wire_form
from wr.api.http_messages import Headers, HttpResponse
from wr.api.pages.file_operations import page_headers
from wr.api.pages.page_cache import HTML
from wr.api.pages.waiting_page import (
    TRY_AGAIN_S,
    address_without_pass,
    has_refused_place,
    read_wishes,
    refresh,
    remember_wishes,
    state_of,
    waiting_page,
)
from wr.api.place_cookies import cookie_name, read_cookie
from wr.api.services import Services
from wr.model import refusals
from wr.model.entry_url import entry_url
from wr.model.places import Waiting
from wr.model.priorities import EntryRule
from wr.model.queue_settings import QueueConfig, QueueStatus
from wr.model.refusals import Refusal
from wr.model.tokens import ExpiredToken, InvalidToken, PositionProof
from wr.room.join_rules import JoiningVisitor
from wr.room.visitors import HeldPlace
from wr.store.poll import PollKind
from wr.web.page_content import PlaceShown, Shown

if TYPE_CHECKING:
    from wr.web.languages import Language

_SHORTEST_REFRESH_S = 5
_HELD = {QueueStatus.ACTIVE: "waiting", QueueStatus.PAUSED: "paused", QueueStatus.MAINTENANCE: "held"}
_ENDS = {
    "session_timeout": "finished",
    "terminated": "finished",
    "cancelled": "left",
    "flushed": "closed",
    "queue_deleted": "closed",
}
_REFUSALS = (
    *(refusals.QueueFull, refusals.Maintenance, refusals.RateLimited, refusals.PositionExpired),
    *(refusals.NotFound, refusals.IdentityTaken, refusals.TooManyPlaces, refusals.Blocked),
    *(refusals.PassRequired, refusals.PassInvalid),
)
"""Reasons for which a visitor has no place. The page has a state for each."""
_REFRESHES = {
    refusals.QueueFull: TRY_AGAIN_S,
    refusals.Maintenance: TRY_AGAIN_S,
    refusals.RateLimited: TRY_AGAIN_S,
    refusals.TooManyPlaces: (PLACES_RETRY_AFTER_S, 2 * PLACES_RETRY_AFTER_S),
}
"""Refusals for which the page reloads, because they may be temporary, and the range of seconds until then."""


async def wait(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Return the waiting page of a queue."""
    options = read_wishes(request.http, request.queue_id)
    purpose = request.http.headers.get("sec-purpose", "") + request.http.headers.get("purpose", "")
    # Only a visitor who looks at the page gets a place, not a prefetching browser or a link checker.
    if not options.is_plain or request.http.method == "HEAD" or "prefetch" in purpose:
        return await waiting_page(services, request)
    config = (await services.visitors.view(request.queue_id)).config
    language = await services.page_cache.language(
        options.language, request.http.headers.get("accept-language", "")
    )
    headers = remember_wishes(services, request, options, language)
    if options.has_left:
        page = await services.page_cache.render(config, language, "left", is_plain=True)
        policies = page_headers(page.policy, options.referrer)
        return HttpResponse(200, page.content, HTML, extra_headers=[*headers, *policies])
    proof = None if has_refused_place(services, request, options) else await _proof(services, request)
    try:
        held = await _find_or_join(services, request, proof, options.brought_pass)
    except _REFUSALS as refusal:
        can_go_on = config.entry is EntryRule.OPEN or proof is not None
        return await _no_place(services, request, config, language, refusal, headers, can_go_on=can_go_on)
    headers.append(services.cookies.place(request.http, config.id, held.proof.token))
    if not isinstance(held.place, Waiting):
        return _redirect(entry_url(config.target_url, held.session_token, options.back), headers)
    if options.brought_pass:
        # From now on the cookie holds the place. The redirect keeps the pass out of history and bookmarks.
        return _redirect(address_without_pass(request), headers)
    return await _place(services, request, held, held.place.position, language, headers)


async def leave(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Cancel the place in the browser's cookie."""
    queue_id = request.queue_id
    if not services.cookies.is_from_here(request.http):
        # The form was sent by a page of another site, which must not end a visitor's place.
        return _redirect(f"/wait/{quote(queue_id)}?plain=1", [])
    proof = await _proof(services, request)
    if proof is not None:
        with suppress(refusals.NotFound):  # The place has already ended.
            await services.visitors.leave(proof.claims)
    return _redirect(f"/wait/{quote(queue_id)}?plain=1&left=1", _forget_headers(services, request))


def _forget_headers(services: Services, request: AuthenticatedRequest[None]) -> Headers:
    """Return the headers that delete the cookies of a place and its progress."""
    queue_id = request.queue_id
    return [
        services.cookies.forget(request.http, queue_id),
        services.cookies.spell(request.http, _progress_cookie(queue_id), "", 0),
    ]


def _progress_cookie(queue_id: str) -> str:
    return f"wr_progress-{queue_id}"


async def _find_or_join(
    services: Services, request: AuthenticatedRequest[None], proof: PositionProof | None, brought_pass: str
) -> HeldPlace:
    """Find the place of a visitor's cookie, or join. With a pass, always join: it may raise the place."""
    queue_id = request.queue_id
    if proof is not None and not brought_pass:
        try:
            return await services.visitors.poll(proof, PollKind.HEARTBEAT)
        except refusals.PositionExpired:
            # If the token has expired too, the cookie is of an earlier visit, and the visitor joins again.
            if services.clock_ms() < proof.claims.expires_s * 1000:
                raise
    elif proof is not None:
        # The heartbeat keeps the place even if the pass is refused. The place may have ended already.
        with suppress(*_REFUSALS):
            await services.visitors.poll(proof, PollKind.HEARTBEAT)
    given = (
        await services.passes.read(brought_pass, queue_id, request.caller.address) if brought_pass else None
    )
    visitor = JoiningVisitor(request.caller.address, request.user_agent, proof, given, keeps_token=True)
    return await services.visitors.enqueue(queue_id, visitor, 0, {})


async def _proof(services: Services, request: AuthenticatedRequest[None]) -> PositionProof | None:
    queue_id = request.queue_id
    token = read_cookie(request.http, cookie_name(queue_id))
    if token is None:
        return None
    try:
        proof = await services.signing_keys.read_position(token)
    except (InvalidToken, ExpiredToken):
        return None
    return proof if proof.claims.queue_id == queue_id else None


async def _place(
    services: Services,
    request: AuthenticatedRequest[None],
    held: HeldPlace,
    position: int,
    language: "Language",
    headers: Headers,
) -> HttpResponse:
    config = held.view.config
    state = "recovering" if held.view.is_recovering else _HELD[config.status]
    # The cookie holds the first position and the progress, because the place itself does not store them. So
    # the progress bar never moves back.
    kept = read_cookie(request.http, _progress_cookie(config.id)) or ""
    first, reached = (int(part) for part in kept.split(".")) if _is_progress(kept) else (position, 0)
    first = max(first, position)
    progress = max(reached, 100 * (first - position) // first)
    shown = PlaceShown(
        position=language.number(position),
        ahead=language.number(position - 1),
        wait=language.wait(held.estimated_wait_s) if state == "waiting" else language.text("wait.unknown"),
        progress=progress,
        updated=language.text(
            "updated", time=language.time(datetime.fromtimestamp(services.clock_ms() / 1000, UTC))
        ),
    )
    page = await services.page_cache.render(config, language, state, Shown(place=shown), is_plain=True)
    # Early enough to keep the place, even if the page loads slowly.
    refresh_s = min(
        max(_SHORTEST_REFRESH_S, config.heartbeat_interval_seconds), config.heartbeat_timeout_seconds * 0.6
    )
    lasts_s = config.heartbeat_timeout_seconds
    return HttpResponse(
        200,
        page.content,
        HTML,
        held.usage,
        [
            *headers,
            *page_headers(page.policy),
            services.cookies.spell(request.http, _progress_cookie(config.id), f"{first}.{progress}", lasts_s),
            refresh(services, refresh_s * 0.6, refresh_s),
        ],
    )


def _is_progress(kept: str) -> bool:
    first, _, reached = kept.partition(".")
    return len(kept) < 24 and first.isdecimal() and reached.isdecimal() and int(reached) <= 100


async def _no_place(
    services: Services,
    request: AuthenticatedRequest[None],
    config: QueueConfig,
    language: "Language",
    refusal: Refusal,
    headers: Headers,
    *,
    can_go_on: bool,
) -> HttpResponse:
    """Return the page that explains why the visitor has no place, or no longer has one.

    The page reloads only if that may help. It never joins again for a visitor whose place has ended. With
    `can_go_on`, a visitor whose pass is refused may continue without it.
    """
    options = read_wishes(request.http, request.queue_id)
    is_over = isinstance(refusal, refusals.PositionExpired | refusals.NotFound)
    state = _ENDS.get(str(refusal.details.get("reason", "")), "expired") if is_over else state_of(refusal)
    shown = Shown(
        until=_blocked_until(refusal, language),
        brought_pass=options.brought_pass,
        may_go_on_without=can_go_on and isinstance(refusal, refusals.PassInvalid),
    )
    page = await services.page_cache.render(config, language, state, shown, is_plain=True)
    last = _forget_headers(services, request) if is_over else []
    seconds = _REFRESHES.get(type(refusal))
    if seconds is not None:
        last.append(refresh(services, *seconds))
    status = 200 if is_over else wire_form(refusal).status
    if status == 429:
        last += refusal_headers(refusal)
    policies = page_headers(page.policy, options.referrer)
    return HttpResponse(status, page.content, HTML, refusal.usage, [*headers, *policies, *last])


def _blocked_until(refusal: Refusal, language: "Language") -> str:
    """Return when a blocked visitor may join again, in the visitor's language. Empty for other refusals."""
    if not isinstance(refusal, refusals.Blocked):
        return ""
    return language.moment(datetime.fromisoformat(str(refusal.details["blocked_until"])))


def _redirect(address: str, headers: Headers) -> HttpResponse:
    return HttpResponse(303, b"", HTML, extra_headers=[*headers, ("Location", address)])
