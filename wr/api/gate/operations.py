"""The gate, which a proxy asks about every request to the site behind it."""

from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import quote

from wr.api.gate.forwarded_request import ForwardedRequest, names_path, read_asked
from wr.api.gate.session_token import read_site_session, sent_tokens, session_cookie_name
from wr.api.pages.page_cache import HTML
from wr.api.pages.waiting_page import refused_page
from wr.api.place_cookies import cookie_name, read_cookie
from wr.api.request_context import Answer, Page, RequestContext, Services
from wr.model import refusals
from wr.model.gate_rules import OutagePolicy, is_open_agent, is_open_path, open_networks
from wr.model.ids import session_id_text
from wr.model.outage_passes import is_outage_pass, sign_outage_pass
from wr.model.places import Admitted
from wr.model.queue import WEEK_S, QueueConfig
from wr.model.refused_sessions import REFUSED_PARAMETER, sign_refused
from wr.model.session_binding import caller_of
from wr.model.tokens import ExpiredToken, InvalidToken, PositionProof
from wr.room.gate_sessions import BoundElsewhere
from wr.room.join_rules import JoiningVisitor
from wr.room.visitors import HeldPlace

SESSION = "X-WR-Session"
QUEUE = "X-WR-Queue"
LOCATION = "X-WR-Location"
OUTAGE = "X-WR-Outage"
_NOTHING = Page(b"", "text/plain; charset=utf-8")
Headers = list[tuple[str, str]]


async def gate(services: Services, context: RequestContext) -> Answer:
    """Say whether a request to the site may pass: 204, or where its sender is to go instead."""
    config = (await services.visitors.view(context.parameters["queue_id"])).config
    asked = read_asked(context)
    if _is_open(config, context, asked):
        return _pass(context, config)
    try:
        if asked.token is not None and asked.is_safe:
            return await _arrive(services, context, config, asked)
        passed = await _with_session(services, context, config, asked)
        if passed is not None:
            return passed
        if services.gate_sessions.is_away(config.id):
            return await _while_away(services, context, config, asked)
        return await _without_session(services, context, config, asked)
    except BoundElsewhere as bound:
        return await _without_session(services, context, config, asked, refused=bound.position_id)
    except refusals.Unavailable:
        return await _while_away(services, context, config, asked)


async def _arrive(
    services: Services, context: RequestContext, config: QueueConfig, asked: ForwardedRequest
) -> Answer:
    """Take the token that somebody brings from the waiting page out of the address, and into a cookie.

    Not in place of a session that is good, nor if its own has ended: old links throw nobody out.
    """
    arriving = asked.token or ""
    opened = await _open_with(services, context, config, [*sent_tokens(context, config.id), arriving])
    is_new = opened is not None and opened[0] == arriving
    cookies = [_session_cookie(services, context, config.id, arriving)] if is_new else []
    return _elsewhere(context, asked.without_token, cookies)


async def _with_session(
    services: Services, context: RequestContext, config: QueueConfig, asked: ForwardedRequest
) -> Answer | None:
    """Let somebody pass who has a session; None for everybody else."""
    tokens = sent_tokens(context, config.id)
    if asked.token is not None:
        tokens.append(asked.token)
    opened = await _open_with(services, context, config, tokens, is_page_view=asked.is_page_view)
    return None if opened is None else _pass(context, config, session_id=opened[1])


async def _open_with(
    services: Services,
    context: RequestContext,
    config: QueueConfig,
    tokens: list[str],
    *,
    is_page_view: bool = False,
) -> tuple[str, str] | None:
    """Find the first token that opens a session, and count that; gives the token and the session's id.

    Raises:
        BoundElsewhere: none does, and one of them is of a session that is bound to others.
        Unavailable: none does, and nobody can say whether one of them still would.
    """
    unknown: refusals.Unavailable | BoundElsewhere | None = None
    for token in tokens:
        try:
            session_id = await _session_id(services, context, config, token, is_page_view=is_page_view)
        except (refusals.Unavailable, BoundElsewhere) as error:
            unknown = error
            continue
        if session_id is not None:
            return token, session_id
    if unknown is not None:
        raise unknown
    return None


async def _session_id(
    services: Services, context: RequestContext, config: QueueConfig, token: str, *, is_page_view: bool
) -> str | None:
    """Name the session that a token opens, and count it; None where it opens none, or none any more.

    Raises:
        BoundElsewhere: the session is bound to other networks or browsers than the visitor's.
        Unavailable: its time is over, and nobody can say whether it was given more.
    """
    claims = await read_site_session(services, config.id, token)
    if claims is None:
        return None
    caller = caller_of(config.session_binding, context.address, context.user_agent)
    try:
        session = await services.gate_sessions.passes(claims, caller, is_page_view=is_page_view)
    except refusals.SessionExpired:
        return None
    ends_ms = claims.expires_s * 1000 if session is None else session.expires_ms
    if ends_ms <= services.clock_ms() and services.gate_sessions.is_away(config.id):
        raise refusals.Unavailable("Nobody can say whether this session was given more time")
    return session_id_text(claims.position_id)


async def _without_session(
    services: Services,
    context: RequestContext,
    config: QueueConfig,
    asked: ForwardedRequest,
    *,
    refused: bytes | None = None,
) -> Answer:
    """Let a visitor walk in where no visitor waits, and send all others to the waiting page.

    A visitor that was refused the session of the position `refused` joins anew: the place that became this
    session would lead back to it for ever.
    """
    held: HeldPlace | None = None
    if asked.may_be_page:
        proof = _place_proof(services, context, config.id)
        if proof is not None and proof.claims.position_id == refused:
            proof = None
        visitor = JoiningVisitor(context.address, context.user_agent, proof, keeps_token=True)
        # A cookie set here is not seen by a waiting page that is on another host.
        may_wait = services.cookies.is_on_public_host(context.request)
        try:
            held = await services.gate_sessions.walk_in(config.id, visitor, may_wait=may_wait)
        except (
            *(refusals.QueueFull, refusals.StoreFull, refusals.Maintenance, refusals.RateLimited),
            *(refusals.NotFound, refusals.PositionExpired, refusals.IdentityTaken),
            *(refusals.TooManyPlaces, refusals.Blocked, refusals.PassRequired),
        ):
            held = None
    if held is not None and held.proof.claims.position_id == refused:
        # Joins with this address, or user id, are one person: there is no other session to give.
        held = None
    if held is not None and isinstance(held.place, Admitted):
        cookie = _session_cookie(services, context, config.id, held.session_token)
        return _elsewhere(context, asked.without_token, [cookie])
    place = [] if held is None else [services.cookies.place(context.request, config.id, held.proof.token)]
    return _elsewhere(context, _waiting_page(services, config, asked, refused), place)


async def _while_away(
    services: Services, context: RequestContext, config: QueueConfig, asked: ForwardedRequest
) -> Answer:
    """Do with somebody who has no session what the queue's policy says while the store is away."""
    policy = config.outage_policy
    name = f"wr_outage-{config.id}"
    now_ms = services.clock_ms()
    ring = services.signing_keys.ring
    has_pass = is_outage_pass(read_cookie(context.request, name) or "", config.id, ring, now_ms)
    if policy is OutagePolicy.BUDGET and has_pass:
        return _pass(context, config, [(OUTAGE, policy.value)])
    # A budget is of people: what belongs to a page comes with the pass that its visitor was given.
    if (policy is not OutagePolicy.BUDGET or asked.may_be_page) and services.gate_sessions.without_store(
        config
    ):
        if policy is OutagePolicy.OPEN:
            return _pass(context, config, [(OUTAGE, policy.value)])
        lasts_s = config.session_timeout_seconds
        outage_pass = sign_outage_pass(config.id, now_ms // 1000 + lasts_s, ring, now_ms)
        cookie = services.cookies.spell(context.request, name, outage_pass, lasts_s, is_carried=True)
        return _elsewhere(context, asked.without_token, [cookie])
    if _asks_for_401(context):
        # What nginx takes as an answer; its configuration makes 503 of it.
        return Answer(403, _NOTHING, headers=[(OUTAGE, "closed")])
    return await refused_page(services, context, refusals.Unavailable("The store is away"))


def _place_proof(services: Services, context: RequestContext, queue_id: str) -> PositionProof | None:
    """Read the place that a visitor has already, from its cookie."""
    token = read_cookie(context.request, cookie_name(queue_id))
    try:
        return None if token is None else services.signing_keys.position_now(token)
    except (InvalidToken, ExpiredToken):
        return None


def _is_open(config: QueueConfig, context: RequestContext, asked: ForwardedRequest) -> bool:
    if config.open_paths and is_open_path(asked.sent_path, config.open_paths):
        return True
    if config.open_agents and asked.is_safe and is_open_agent(context.user_agent, config.open_agents):
        return True
    if config.open_addresses:
        address = ip_address(context.address)
        return any(address in network for network in open_networks(config.open_addresses))
    return False


def _pass(
    context: RequestContext,
    config: QueueConfig,
    headers: Sequence[tuple[str, str]] = (),
    *,
    session_id: str = "",
) -> Answer:
    """Let a request through: 204, or the 200 without which Envoy lets nothing through.

    A session is always named, if only as none: proxies put it in place of what the visitor said it was.
    """
    status = 200 if names_path(context) else 204
    return Answer(status, _NOTHING, headers=[(SESSION, session_id), (QUEUE, config.id), *headers])


def _waiting_page(
    services: Services, config: QueueConfig, asked: ForwardedRequest, refused: bytes | None
) -> str:
    """Name the waiting page, with the way back to the page that was asked for."""
    said = []
    if asked.may_be_page:
        said.append(f"return={quote(asked.without_token, safe='')}")
    if refused is not None:
        note = sign_refused(refused, services.signing_keys.ring, services.clock_ms())
        said.append(f"{REFUSED_PARAMETER}={note}")
    return f"{services.public_url}/wait/{quote(config.id)}{'?' if said else ''}{'&'.join(said)}"


def _asks_for_401(context: RequestContext) -> bool:
    """Whether the proxy can take no other refusal than 401: it asks with `?refuse=401`."""
    return "refuse=401" in context.request.query.split("&") and not names_path(context)


def _elsewhere(context: RequestContext, location: str, headers: Headers) -> Answer:
    """Send a visitor elsewhere; a proxy that cannot pass on a redirect makes one of `X-WR-Location`."""
    if _asks_for_401(context):
        return Answer(401, _NOTHING, headers=[*headers, (LOCATION, location)])
    return Answer(303, Page(b"", HTML), headers=[*headers, ("Location", location)])


def _session_cookie(
    services: Services, context: RequestContext, queue_id: str, token: str
) -> tuple[str, str]:
    """Keep a session for as long as one may be extended: when it is over the gate says, not the browser."""
    return services.cookies.spell(
        context.request, session_cookie_name(queue_id), token, WEEK_S, is_carried=True
    )
