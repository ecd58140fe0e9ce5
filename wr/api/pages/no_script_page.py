"""The waiting page for browsers without scripts: loading the page joins, and the page reloads itself."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from wr.api.errors import PLACES_RETRY_AFTER_S, refusal_headers, wire_form
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
from wr.api.request_context import Answer, Page, RequestContext, Services
from wr.model import refusals
from wr.model.entry_url import entry_url
from wr.model.places import Waiting
from wr.model.priorities import EntryRule
from wr.model.queue import QueueConfig, QueueStatus
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
Headers = list[tuple[str, str]]


async def wait(services: Services, context: RequestContext) -> Answer:
    """Return the waiting page of a queue."""
    options = read_wishes(context)
    purpose = context.request.headers.get("sec-purpose", "") + context.request.headers.get("purpose", "")
    # Only a visitor who looks at the page gets a place, not a prefetching browser or a link checker.
    if not options.is_plain or context.request.method == "HEAD" or "prefetch" in purpose:
        return await waiting_page(services, context)
    config = (await services.visitors.view(context.parameters["queue_id"])).config
    language = await services.page_cache.language(
        options.language, context.request.headers.get("accept-language", "")
    )
    headers = remember_wishes(services, context, options, language)
    if options.has_left:
        page = await services.page_cache.render(config, language, "left", is_plain=True)
        policies = page_headers(page.policy, options.referrer)
        return Answer(200, Page(page.content, HTML), headers=[*headers, *policies])
    proof = None if has_refused_place(services, context, options) else await _proof(services, context)
    try:
        held = await _find_or_join(services, context, proof, options.brought_pass)
    except _REFUSALS as refusal:
        can_go_on = config.entry is EntryRule.OPEN or proof is not None
        return await _no_place(services, context, config, language, refusal, headers, can_go_on=can_go_on)
    headers.append(services.cookies.place(context.request, config.id, held.proof.token))
    if not isinstance(held.place, Waiting):
        return _redirect(entry_url(config.target_url, held.session_token, options.back), headers)
    if options.brought_pass:
        # From now on the cookie holds the place. The redirect keeps the pass out of history and bookmarks.
        return _redirect(address_without_pass(context), headers)
    return await _place(services, context, held, held.place.position, language, headers)


async def leave(services: Services, context: RequestContext) -> Answer:
    """Cancel the place in the browser's cookie."""
    queue_id = context.parameters["queue_id"]
    if not services.cookies.is_from_here(context.request):
        # The form was sent by a page of another site, which must not end a visitor's place.
        return _redirect(f"/wait/{quote(queue_id)}?plain=1", [])
    proof = await _proof(services, context)
    if proof is not None:
        with suppress(refusals.NotFound):  # The place has already ended.
            await services.visitors.leave(proof.claims)
    return _redirect(f"/wait/{quote(queue_id)}?plain=1&left=1", _forget_headers(services, context))


def _forget_headers(services: Services, context: RequestContext) -> Headers:
    """Return the headers that delete the cookies of a place and its progress."""
    queue_id = context.parameters["queue_id"]
    return [
        services.cookies.forget(context.request, queue_id),
        services.cookies.spell(context.request, _progress_cookie(queue_id), "", 0),
    ]


def _progress_cookie(queue_id: str) -> str:
    return f"wr_progress-{queue_id}"


async def _find_or_join(
    services: Services, context: RequestContext, proof: PositionProof | None, brought_pass: str
) -> HeldPlace:
    """Find the place of a visitor's cookie, or join. With a pass, always join: it may raise the place."""
    queue_id = context.parameters["queue_id"]
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
    given = await services.passes.read(brought_pass, queue_id, context.address) if brought_pass else None
    visitor = JoiningVisitor(context.address, context.user_agent, proof, given, keeps_token=True)
    return await services.visitors.enqueue(queue_id, visitor, 0, {})


async def _proof(services: Services, context: RequestContext) -> PositionProof | None:
    queue_id = context.parameters["queue_id"]
    token = read_cookie(context.request, cookie_name(queue_id))
    if token is None:
        return None
    try:
        proof = await services.signing_keys.read_position(token)
    except (InvalidToken, ExpiredToken):
        return None
    return proof if proof.claims.queue_id == queue_id else None


async def _place(
    services: Services,
    context: RequestContext,
    held: HeldPlace,
    position: int,
    language: "Language",
    headers: Headers,
) -> Answer:
    config = held.view.config
    state = "recovering" if held.view.is_recovering else _HELD[config.status]
    # The cookie holds the first position and the progress, because the place itself does not store them. So
    # the progress bar never moves back.
    kept = read_cookie(context.request, _progress_cookie(config.id)) or ""
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
    return Answer(
        200,
        Page(page.content, HTML),
        held.usage,
        [
            *headers,
            *page_headers(page.policy),
            services.cookies.spell(
                context.request, _progress_cookie(config.id), f"{first}.{progress}", lasts_s
            ),
            refresh(services, refresh_s * 0.6, refresh_s),
        ],
    )


def _is_progress(kept: str) -> bool:
    first, _, reached = kept.partition(".")
    return len(kept) < 24 and first.isdecimal() and reached.isdecimal() and int(reached) <= 100


async def _no_place(
    services: Services,
    context: RequestContext,
    config: QueueConfig,
    language: "Language",
    refusal: Refusal,
    headers: Headers,
    *,
    can_go_on: bool,
) -> Answer:
    """Return the page that explains why the visitor has no place, or no longer has one.

    The page reloads only if that may help. It never joins again for a visitor whose place has ended. With
    `can_go_on`, a visitor whose pass is refused may continue without it.
    """
    options = read_wishes(context)
    is_over = isinstance(refusal, refusals.PositionExpired | refusals.NotFound)
    state = _ENDS.get(str(refusal.details.get("reason", "")), "expired") if is_over else state_of(refusal)
    shown = Shown(
        until=_blocked_until(refusal, language),
        brought_pass=options.brought_pass,
        may_go_on_without=can_go_on and isinstance(refusal, refusals.PassInvalid),
    )
    page = await services.page_cache.render(config, language, state, shown, is_plain=True)
    last = _forget_headers(services, context) if is_over else []
    seconds = _REFRESHES.get(type(refusal))
    if seconds is not None:
        last.append(refresh(services, *seconds))
    status = 200 if is_over else wire_form(refusal).status
    if status == 429:
        last += refusal_headers(refusal)
    policies = page_headers(page.policy, options.referrer)
    return Answer(status, Page(page.content, HTML), refusal.usage, [*headers, *policies, *last])


def _blocked_until(refusal: Refusal, language: "Language") -> str:
    """Return when a blocked visitor may join again, in the visitor's language. Empty for other refusals."""
    if not isinstance(refusal, refusals.Blocked):
        return ""
    return language.moment(datetime.fromisoformat(str(refusal.details["blocked_until"])))


def _redirect(address: str, headers: Headers) -> Answer:
    return Answer(303, Page(b"", HTML), headers=[*headers, ("Location", address)])
