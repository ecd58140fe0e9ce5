"""The gate: a proxy asks it about every request to the site, so that only admitted visitors get through."""

from collections.abc import Sequence
from functools import partial
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
from wr.model.queue_settings import WEEK_S, QueueConfig
from wr.model.refused_sessions import REFUSED_PARAMETER, sign_refused
from wr.model.session_binding import caller_of
from wr.model.tokens import ExpiredToken, InvalidToken, PositionProof
from wr.room.gate_sessions import BoundElsewhere
from wr.room.join_rules import JoiningVisitor
from wr.room.visitors import HeldPlace
from wr.store.store_call import Answer, Later

SESSION = "X-WR-Session"
QUEUE = "X-WR-Queue"
LOCATION = "X-WR-Location"
OUTAGE = "X-WR-Outage"


def gate(services: Services, request: AuthenticatedRequest[None]) -> Answer[HttpResponse]:
    """Check a request to the site: 204 if it may pass, else a redirect for the visitor."""
    return _pass_now(services, request) or Later(partial(_check, services, request))


def _pass_now(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse | None:
    """Let most requests pass without asking the store. None if it has to be asked, or may be."""
    view = services.visitors.last_seen(request.queue_id)
    if view is None:
        return None
    config, forwarded = view.config, read_asked(request)
    if _is_open(config, request, forwarded):
        return _allow(request, config)
    tokens = sent_tokens(request.http, config.id)
    if len(tokens) != 1 or forwarded.token is not None:
        return None
    try:
        claims = services.signing_keys.session_now(tokens[0])
    except (InvalidToken, ExpiredToken):
        return None
    if claims is None or claims.queue_id != config.id:
        return None
    caller = caller_of(config.session_binding, request.caller.address, request.user_agent)
    may_pass = services.gate_sessions.passes_now(
        claims, caller, services.clock_ms(), is_page_view=forwarded.is_page_view
    )
    return _allow(request, config, session_id=session_id_text(claims.position_id)) if may_pass else None


async def _check(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Check a request with the help of the store."""
    config = (await services.visitors.view(request.queue_id)).config
    forwarded = read_asked(request)
    if _is_open(config, request, forwarded):
        return _allow(request, config)
    try:
        if forwarded.token is not None and forwarded.is_safe:
            return await _move_token_to_cookie(services, request, config, forwarded)
        passed = await _with_session(services, request, config, forwarded)
        if passed is not None:
            return passed
        if services.gate_sessions.is_away(config.id):
            return await _without_store(services, request, config, forwarded)
        return await _without_session(services, request, config, forwarded)
    except BoundElsewhere as bound:
        return await _without_session(services, request, config, forwarded, refused=bound.position_id)
    except refusals.Unavailable:
        return await _without_store(services, request, config, forwarded)


async def _move_token_to_cookie(
    services: Services, request: AuthenticatedRequest[None], config: QueueConfig, forwarded: ForwardedRequest
) -> HttpResponse:
    """Move the token in the URL, which the waiting page added, into a cookie, and redirect without it.

    The token does not replace a valid session, and not if its own session has ended. So an old link ends no
    session.
    """
    arriving = forwarded.token or ""
    opened = await _open_with(services, request, config, [*sent_tokens(request.http, config.id), arriving])
    is_new = opened is not None and opened[0] == arriving
    cookies = [_session_cookie(services, request, config.id, arriving)] if is_new else []
    return _redirect(request, forwarded.without_token, cookies)


async def _with_session(
    services: Services, request: AuthenticatedRequest[None], config: QueueConfig, forwarded: ForwardedRequest
) -> HttpResponse | None:
    """Let a request with a session pass. Returns None if it has none."""
    tokens = sent_tokens(request.http, config.id)
    if forwarded.token is not None:
        tokens.append(forwarded.token)
    opened = await _open_with(services, request, config, tokens, is_page_view=forwarded.is_page_view)
    return None if opened is None else _allow(request, config, session_id=opened[1])


async def _open_with(
    services: Services,
    request: AuthenticatedRequest[None],
    config: QueueConfig,
    tokens: list[str],
    *,
    is_page_view: bool = False,
) -> tuple[str, str] | None:
    """Find the first token of an active session, and count its use. Returns the token and the session's id.

    Raises:
        BoundElsewhere: no token may be used, and one belongs to a session that is bound to another caller.
        Unavailable: no token may be used, and the unreachable store would know whether one is still valid.
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
    """Return the id of a token's session, and count its use. None if there is no active session.

    Raises:
        BoundElsewhere: the session is bound to other networks or browsers than the visitor's.
        Unavailable: the session's known time is over, and the unreachable store may have extended it.
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
        raise refusals.Unavailable("The server cannot find out whether this session was extended")
    return session_id_text(claims.position_id)


async def _without_session(
    services: Services,
    request: AuthenticatedRequest[None],
    config: QueueConfig,
    forwarded: ForwardedRequest,
    *,
    refused: bytes | None = None,
) -> HttpResponse:
    """Admit a visitor directly if no other visitor waits, and redirect all others to the waiting page.

    If the visitor was refused the session of the position `refused`, the visitor joins again. Otherwise the
    cookie of that position would lead to the refused session for ever.
    """
    held: HeldPlace | None = None
    if forwarded.may_be_page:
        proof = _place_proof(services, request, config.id)
        if proof is not None and proof.claims.position_id == refused:
            proof = None
        visitor = JoiningVisitor(request.caller.address, request.user_agent, proof, keeps_token=True)
        # A waiting page on another host does not get a cookie that is set here.
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
        # The queue gives this address or user id only one place, so there is no other session for it.
        held = None
    if held is not None and isinstance(held.place, Admitted):
        cookie = _session_cookie(services, request, config.id, held.session_token)
        return _redirect(request, forwarded.without_token, [cookie])
    place = [] if held is None else [services.cookies.place(request.http, config.id, held.proof.token)]
    return _redirect(request, _waiting_page(services, config, forwarded, refused), place)


async def _without_store(
    services: Services, request: AuthenticatedRequest[None], config: QueueConfig, forwarded: ForwardedRequest
) -> HttpResponse:
    """Apply the queue's `outage_policy` to a visitor without a session, while the store is unreachable."""
    policy = config.outage_policy
    name = f"wr_outage-{config.id}"
    now_ms = services.clock_ms()
    ring = services.signing_keys.ring
    has_pass = is_outage_pass(read_cookie(request.http, name) or "", config.id, ring, now_ms)
    if policy is OutagePolicy.BUDGET and has_pass:
        return _allow(request, config, [(OUTAGE, policy.value)])
    # The budget counts visitors. Pictures and scripts of a page pass with the visitor's outage pass.
    if (policy is not OutagePolicy.BUDGET or forwarded.may_be_page) and services.gate_sessions.without_store(
        config
    ):
        if policy is OutagePolicy.OPEN:
            return _allow(request, config, [(OUTAGE, policy.value)])
        lasts_s = config.session_timeout_seconds
        outage_pass = sign_outage_pass(config.id, now_ms // 1000 + lasts_s, ring, now_ms)
        cookie = services.cookies.spell(request.http, name, outage_pass, lasts_s, is_carried=True)
        return _redirect(request, forwarded.without_token, [cookie])
    if _asks_for_401(request):
        # nginx accepts 403 here, and its configuration turns it into 503.
        return empty_response(403, [(OUTAGE, "closed")])
    return await refused_page(services, request.http, config.id, refusals.Unavailable("The store is away"))


def _place_proof(
    services: Services, request: AuthenticatedRequest[None], queue_id: str
) -> PositionProof | None:
    """Read the visitor's place from its cookie."""
    token = read_cookie(request.http, cookie_name(queue_id))
    try:
        return None if token is None else services.signing_keys.position_now(token)
    except (InvalidToken, ExpiredToken):
        return None


def _is_open(config: QueueConfig, request: AuthenticatedRequest[None], forwarded: ForwardedRequest) -> bool:
    if config.open_paths and is_open_path(forwarded.sent_path, config.open_paths):
        return True
    if config.open_agents and forwarded.is_safe and is_open_agent(request.user_agent, config.open_agents):
        return True
    if config.open_addresses:
        address = ip_address(request.caller.address)
        return any(address in network for network in open_networks(config.open_addresses))
    return False


def _allow(
    request: AuthenticatedRequest[None],
    config: QueueConfig,
    headers: Sequence[tuple[str, str]] = (),
    *,
    session_id: str = "",
) -> HttpResponse:
    """Let a request pass: 204, or 200 for Envoy, which needs it.

    The response always has `X-WR-Session`, even if empty, so that the proxy overwrites a header that the
    visitor sent.
    """
    status = 200 if names_path(request) else 204
    return empty_response(status, [(SESSION, session_id), (QUEUE, config.id), *headers])


def _waiting_page(
    services: Services, config: QueueConfig, forwarded: ForwardedRequest, refused: bytes | None
) -> str:
    """Return the URL of the waiting page, with the path to return to after admission."""
    query = []
    if forwarded.may_be_page:
        query.append(f"return={quote(forwarded.without_token, safe='')}")
    if refused is not None:
        note = sign_refused(refused, services.signing_keys.ring, services.clock_ms())
        query.append(f"{REFUSED_PARAMETER}={note}")
    return f"{services.public_url}/wait/{quote(config.id)}{'?' if query else ''}{'&'.join(query)}"


def _asks_for_401(request: AuthenticatedRequest[None]) -> bool:
    """Whether the proxy accepts only 401 as a refusal. It says so with `?refuse=401`."""
    return "refuse=401" in request.http.query.split("&") and not names_path(request)


def _redirect(request: AuthenticatedRequest[None], location: str, headers: Headers) -> HttpResponse:
    """Redirect a visitor. A proxy that cannot pass on a redirect builds one from `X-WR-Location`."""
    if _asks_for_401(request):
        return empty_response(401, [*headers, (LOCATION, location)])
    return HttpResponse(303, b"", HTML, extra_headers=[*headers, ("Location", location)])


def _session_cookie(
    services: Services, request: AuthenticatedRequest[None], queue_id: str, token: str
) -> tuple[str, str]:
    """Return the cookie of a session. It lasts as long as a session may be extended, and the gate checks
    the real end."""
    return services.cookies.spell(request.http, session_cookie_name(queue_id), token, WEEK_S, is_carried=True)
