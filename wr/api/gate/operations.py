"""The gate, which a proxy asks about every request to the site behind it."""

from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import quote

from wr.api.authenticated_request import AuthenticatedRequest
from wr.api.gate.forwarded_request import ForwardedRequest, names_path, read_asked
from wr.api.gate.session_token import read_site_session, sent_tokens, session_cookie_name
from wr.api.http_messages import Headers, HttpResponse, empty_response
from wr.api.pages.page_cache import HTML
from wr.api.pages.waiting_page import refused_page
from wr.api.place_cookies import cookie_name, read_cookie
from wr.api.services import Services
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


async def gate(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Say whether a request to the site may pass: 204, or where its sender is to go instead."""
    config = (await services.visitors.view(request.queue_id)).config
    asked = read_asked(request)
    if _is_open(config, request, asked):
        return _pass(request, config)
    try:
        if asked.token is not None and asked.is_safe:
            return await _arrive(services, request, config, asked)
        passed = await _with_session(services, request, config, asked)
        if passed is not None:
            return passed
        if services.gate_sessions.is_away(config.id):
            return await _while_away(services, request, config, asked)
        return await _without_session(services, request, config, asked)
    except BoundElsewhere as bound:
        return await _without_session(services, request, config, asked, refused=bound.position_id)
    except refusals.Unavailable:
        return await _while_away(services, request, config, asked)


async def _arrive(
    services: Services, request: AuthenticatedRequest[None], config: QueueConfig, asked: ForwardedRequest
) -> HttpResponse:
    """Take the token that somebody brings from the waiting page out of the address, and into a cookie.

    Not in place of a session that is good, nor if its own has ended: old links throw nobody out.
    """
    arriving = asked.token or ""
    opened = await _open_with(services, request, config, [*sent_tokens(request.http, config.id), arriving])
    is_new = opened is not None and opened[0] == arriving
    cookies = [_session_cookie(services, request, config.id, arriving)] if is_new else []
    return _elsewhere(request, asked.without_token, cookies)


async def _with_session(
    services: Services, request: AuthenticatedRequest[None], config: QueueConfig, asked: ForwardedRequest
) -> HttpResponse | None:
    """Let somebody pass who has a session; None for everybody else."""
    tokens = sent_tokens(request.http, config.id)
    if asked.token is not None:
        tokens.append(asked.token)
    opened = await _open_with(services, request, config, tokens, is_page_view=asked.is_page_view)
    return None if opened is None else _pass(request, config, session_id=opened[1])


async def _open_with(
    services: Services,
    request: AuthenticatedRequest[None],
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
            session_id = await _session_id(services, request, config, token, is_page_view=is_page_view)
        except (refusals.Unavailable, BoundElsewhere) as error:
            unknown = error
            continue
        if session_id is not None:
            return token, session_id
    if unknown is not None:
        raise unknown
    return None


async def _session_id(
    services: Services,
    request: AuthenticatedRequest[None],
    config: QueueConfig,
    token: str,
    *,
    is_page_view: bool,
) -> str | None:
    """Name the session that a token opens, and count it; None where it opens none, or none any more.

    Raises:
        BoundElsewhere: the session is bound to other networks or browsers than the visitor's.
        Unavailable: its time is over, and nobody can say whether it was given more.
    """
    claims = await read_site_session(services, config.id, token)
    if claims is None:
        return None
    caller = caller_of(config.session_binding, request.caller.address, request.user_agent)
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
    request: AuthenticatedRequest[None],
    config: QueueConfig,
    asked: ForwardedRequest,
    *,
    refused: bytes | None = None,
) -> HttpResponse:
    """Let a visitor walk in where no visitor waits, and send all others to the waiting page.

    A visitor that was refused the session of the position `refused` joins anew: the place that became this
    session would lead back to it for ever.
    """
    held: HeldPlace | None = None
    if asked.may_be_page:
        proof = _place_proof(services, request, config.id)
        if proof is not None and proof.claims.position_id == refused:
            proof = None
        visitor = JoiningVisitor(request.caller.address, request.user_agent, proof, keeps_token=True)
        # A cookie set here is not seen by a waiting page that is on another host.
        may_wait = services.cookies.is_on_public_host(request.http)
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
        cookie = _session_cookie(services, request, config.id, held.session_token)
        return _elsewhere(request, asked.without_token, [cookie])
    place = [] if held is None else [services.cookies.place(request.http, config.id, held.proof.token)]
    return _elsewhere(request, _waiting_page(services, config, asked, refused), place)


async def _while_away(
    services: Services, request: AuthenticatedRequest[None], config: QueueConfig, asked: ForwardedRequest
) -> HttpResponse:
    """Do with somebody who has no session what the queue's policy says while the store is away."""
    policy = config.outage_policy
    name = f"wr_outage-{config.id}"
    now_ms = services.clock_ms()
    ring = services.signing_keys.ring
    has_pass = is_outage_pass(read_cookie(request.http, name) or "", config.id, ring, now_ms)
    if policy is OutagePolicy.BUDGET and has_pass:
        return _pass(request, config, [(OUTAGE, policy.value)])
    # A budget is of people: what belongs to a page comes with the pass that its visitor was given.
    if (policy is not OutagePolicy.BUDGET or asked.may_be_page) and services.gate_sessions.without_store(
        config
    ):
        if policy is OutagePolicy.OPEN:
            return _pass(request, config, [(OUTAGE, policy.value)])
        lasts_s = config.session_timeout_seconds
        outage_pass = sign_outage_pass(config.id, now_ms // 1000 + lasts_s, ring, now_ms)
        cookie = services.cookies.spell(request.http, name, outage_pass, lasts_s, is_carried=True)
        return _elsewhere(request, asked.without_token, [cookie])
    if _asks_for_401(request):
        # What nginx takes as an answer; its configuration makes 503 of it.
        return empty_response(403, [(OUTAGE, "closed")])
    return await refused_page(services, request.http, config.id, refusals.Unavailable("The store is away"))


def _place_proof(
    services: Services, request: AuthenticatedRequest[None], queue_id: str
) -> PositionProof | None:
    """Read the place that a visitor has already, from its cookie."""
    token = read_cookie(request.http, cookie_name(queue_id))
    try:
        return None if token is None else services.signing_keys.position_now(token)
    except (InvalidToken, ExpiredToken):
        return None


def _is_open(config: QueueConfig, request: AuthenticatedRequest[None], asked: ForwardedRequest) -> bool:
    if config.open_paths and is_open_path(asked.sent_path, config.open_paths):
        return True
    if config.open_agents and asked.is_safe and is_open_agent(request.user_agent, config.open_agents):
        return True
    if config.open_addresses:
        address = ip_address(request.caller.address)
        return any(address in network for network in open_networks(config.open_addresses))
    return False


def _pass(
    request: AuthenticatedRequest[None],
    config: QueueConfig,
    headers: Sequence[tuple[str, str]] = (),
    *,
    session_id: str = "",
) -> HttpResponse:
    """Let a request through: 204, or the 200 without which Envoy lets nothing through.

    A session is always named, if only as none: proxies put it in place of what the visitor said it was.
    """
    status = 200 if names_path(request) else 204
    return empty_response(status, [(SESSION, session_id), (QUEUE, config.id), *headers])


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


def _asks_for_401(request: AuthenticatedRequest[None]) -> bool:
    """Whether the proxy can take no other refusal than 401: it asks with `?refuse=401`."""
    return "refuse=401" in request.http.query.split("&") and not names_path(request)


def _elsewhere(request: AuthenticatedRequest[None], location: str, headers: Headers) -> HttpResponse:
    """Send a visitor elsewhere; a proxy that cannot pass on a redirect makes one of `X-WR-Location`."""
    if _asks_for_401(request):
        return empty_response(401, [*headers, (LOCATION, location)])
    return HttpResponse(303, b"", HTML, extra_headers=[*headers, ("Location", location)])


def _session_cookie(
    services: Services, request: AuthenticatedRequest[None], queue_id: str, token: str
) -> tuple[str, str]:
    """Keep a session for as long as one may be extended: when it is over the gate says, not the browser."""
    return services.cookies.spell(request.http, session_cookie_name(queue_id), token, WEEK_S, is_carried=True)
