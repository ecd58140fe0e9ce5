"""Operations of the gate, which a proxy asks about every request to the site behind it."""

import re
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import quote

import msgspec

from wr.api.calls import Answer, Call, Page, Services
from wr.api.cookies import read_cookie
from wr.api.gate_messages import SessionCommandRequest, SessionCommandResponse
from wr.api.waiting_desk import HTML
from wr.api.waiting_operations import refused_page
from wr.model import refusals
from wr.model.entry import TOKEN_PARAMETER
from wr.model.gate import is_open_agent, is_open_path, open_networks
from wr.model.ids import parse_session_id, session_id_text
from wr.model.queue import QueueConfig
from wr.model.times import rfc3339
from wr.model.tokens import ExpiredToken, InvalidToken, PositionClaims, SessionClaims
from wr.room import Entry, Visitor

SESSION = "X-WR-Session"
QUEUE = "X-WR-Queue"
LOCATION = "X-WR-Location"
COMMAND = "x-wr-command"
_TEXT = "text/plain; charset=utf-8"
_NOTHING = Page(b"", _TEXT)
_COMMAND = re.compile(r"(end|revoke|extend=([1-9][0-9]{0,5}))")
_LONGEST_TARGET = 4096


class Asked(msgspec.Struct, frozen=True):
    """What the visitor asked the site for, as the proxy tells it."""

    method: str
    path: str
    query: str
    is_page: bool
    """Whether a page is looked at, rather than a picture or a script of it."""
    is_doubtful: bool = False
    """Whether two headers name two targets: one of them may be the visitor's own, nobody knows which."""

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def token(self) -> str | None:
        """The session token that a visitor brings from the waiting page, if there is one."""
        for part in self.query.split("&"):
            name, _, value = part.partition("=")
            if name == TOKEN_PARAMETER and value:
                return value
        return None

    @property
    def without_token(self) -> str:
        """Path and query without the token."""
        kept = [part for part in self.query.split("&") if part.partition("=")[0] != TOKEN_PARAMETER]
        return f"{self.path}?{'&'.join(kept)}" if any(kept) else self.path


async def gate(services: Services, call: Call) -> Answer:
    """Say whether a request to the site may pass: 204, or where its sender is to go instead."""
    queue_id = call.parameters["queue_id"]
    config = (await services.room.view(queue_id)).config
    asked = read_asked(call)
    if _is_open(config, call, asked):
        return _pass(call, config)
    arriving = asked.token
    if arriving is not None:
        claims = await _session(services, config.id, arriving)
        if claims is not None:
            cookie = _session_cookie(services, call, config.id, arriving, claims)
            return _elsewhere(call, asked.without_token, [cookie])
    try:
        passed = await _with_session(services, call, config, asked)
        if passed is not None:
            return passed
        if services.gatehouse.is_away:
            return await _while_away(services, call, config)
        entry = await services.gatehouse.walk_in(config.id, Visitor(call.address, call.user_agent))
    except refusals.Unavailable:
        return await _while_away(services, call, config)
    except (refusals.QueueFull, refusals.Maintenance, refusals.RateLimited):
        entry = None
    if isinstance(entry, Entry):
        claims = await services.keeper.read_session(entry.session_token)
        cookie = _session_cookie(services, call, config.id, entry.session_token, claims)
        return _elsewhere(call, asked.without_token, [cookie])
    place = [] if entry is None else [services.cookies.place(call.request, config.id, entry.token)]
    return _elsewhere(call, _waiting_page(services, config, asked), place)


async def origin_command(services: Services, call: Call) -> Answer:
    """Carry out what the site said of a session in `X-WR-Command`: `end`, `revoke` or `extend=SECONDS`."""
    spelled = call.request.headers.get(COMMAND, "").strip()
    if not spelled:
        return Answer(204, _NOTHING)
    match = _COMMAND.fullmatch(spelled)
    if match is None:
        raise refusals.InvalidRequest(
            "X-WR-Command must be end, revoke or extend=SECONDS", field="X-WR-Command"
        )
    queue_id = call.parameters["queue_id"]
    for token in _tokens(call, queue_id):
        claims = await _session(services, queue_id, token)
        if claims is not None:
            command = match[1].partition("=")[0]
            await services.gatehouse.command(queue_id, claims.position_id, command, int(match[2] or 0))
            return Answer(204, _NOTHING)
    raise refusals.NotFound("There is no session to command")


async def session_command(services: Services, call: Call) -> Answer:
    """End a session because its visitor has finished, give it more time, or revoke it."""
    wish: SessionCommandRequest = call.body
    session_id = call.parameters["session_id"]
    position_id = parse_session_id(session_id)
    if position_id is None:
        raise refusals.NotFound("There is no such session", session_id=session_id)
    found = await services.office.find_session(position_id)
    ends_ms = await services.gatehouse.command(found.queue_id, position_id, wish.command, wish.seconds)
    return Answer(
        200,
        SessionCommandResponse(
            session_id=session_id_text(position_id), command=wish.command, expires_at=rfc3339(ends_ms)
        ),
    )


def read_asked(call: Call) -> Asked:
    """Read what the visitor asked for: nginx, Caddy and Traefik say it in headers, Envoy in the path."""
    headers = call.request.headers
    named = [headers[name] for name in ("x-original-uri", "x-forwarded-uri") if headers.get(name)]
    if _names_path(call):
        uri = f"/{quote(call.parameters['rest'], safe='/:@!$&()*+,;=~-._%')}"
        query = call.request.query
    else:
        uri, _, query = next(iter(named), "/")[:_LONGEST_TARGET].partition("#")[0].partition("?")
    # Two slashes, or a backslash, would begin the name of another site.
    path = "/" + uri.lstrip("/\\") if uri.startswith("/") else "/"
    method = headers.get("x-original-method") or headers.get("x-forwarded-method") or call.request.method
    destination = headers.get("sec-fetch-dest")
    is_page = destination == "document" if destination else "text/html" in headers.get("accept", "")
    # Spaces and control characters would end the header or the line it goes into.
    is_doubtful = len(set(named)) > 1 and not _names_path(call)
    return Asked(method, _tame(path), _tame(query), method == "GET" and is_page, is_doubtful)


def _tame(text: str) -> str:
    return quote(text, safe="/%:?#[]@!$&'()*+,;=~-._")


def _pass(
    call: Call, config: QueueConfig, headers: Sequence[tuple[str, str]] = (), *, session_id: str = ""
) -> Answer:
    """Let a request through: 204, or the 200 without which Envoy lets nothing through.

    A session is always named, if only as none: proxies put it in place of what the visitor said it was.
    """
    status = 200 if _names_path(call) else 204
    return Answer(status, _NOTHING, headers=[(SESSION, session_id), (QUEUE, config.id), *headers])


def _names_path(call: Call) -> bool:
    """Whether the proxy appends what was asked for to the gate's own path, as Envoy does."""
    return "rest" in call.parameters


def _is_open(config: QueueConfig, call: Call, asked: Asked) -> bool:
    if config.open_paths and not asked.is_doubtful and is_open_path(asked.path, config.open_paths):
        return True
    if config.open_agents and is_open_agent(call.user_agent, config.open_agents):
        return True
    if config.open_addresses:
        address = ip_address(call.address)
        return any(address in network for network in open_networks(config.open_addresses))
    return False


def session_cookie_name(queue_id: str) -> str:
    """Name the cookie that keeps a session, on the site behind the gate."""
    return f"wr_session-{queue_id}"


def _tokens(call: Call, queue_id: str) -> list[str]:
    """List what may be a session token, the visitor's cookie first."""
    cookie = read_cookie(call.request, session_cookie_name(queue_id))
    scheme, _, bearer = call.request.headers.get("authorization", "").partition(" ")
    return [token for token in (cookie, bearer.strip() if scheme.lower() == "bearer" else None) if token]


async def _session(services: Services, queue_id: str, token: str) -> SessionClaims | None:
    """Verify a session token; one past its time counts as long as its session was given more."""
    try:
        claims = await services.keeper.read_session(token)
    except InvalidToken:
        return None
    except ExpiredToken as error:
        if isinstance(error.claims, PositionClaims):
            return None
        claims = error.claims
    return claims if claims.queue_id == queue_id else None


async def _with_session(services: Services, call: Call, config: QueueConfig, asked: Asked) -> Answer | None:
    """Let somebody pass who has a session; None for everybody else."""
    for token in _tokens(call, config.id):
        claims = await _session(services, config.id, token)
        if claims is None:
            continue
        try:
            passing = await services.gatehouse.passes(claims, is_page_view=asked.is_page)
        except refusals.SessionExpired:
            continue
        if passing is None and claims.expires_s * 1000 <= services.clock_ms():
            raise refusals.Unavailable("Nobody can say whether this session was given more time")
        return _pass(call, config, session_id=session_id_text(claims.position_id))
    return None


async def _while_away(services: Services, call: Call, config: QueueConfig) -> Answer:
    """Do with somebody who has no session what the queue's policy says while the store is away."""
    if services.gatehouse.without_store(config):
        return _pass(call, config, [("X-WR-Outage", config.outage_policy.value)])
    if _asks_for_401(call):
        # What nginx takes as an answer; its configuration makes 503 of it.
        return Answer(403, _NOTHING, headers=[("X-WR-Outage", "closed")])
    return await refused_page(services, call, refusals.Unavailable("The store is away"))


def _waiting_page(services: Services, config: QueueConfig, asked: Asked) -> str:
    """Name the waiting page, with the way back to what was asked for."""
    back = asked.without_token if asked.method in ("GET", "HEAD") else "/"
    return f"{services.public_url}/wait/{quote(config.id)}?return={quote(back, safe='')}"


def _asks_for_401(call: Call) -> bool:
    """Whether the proxy can take no other refusal than 401: it asks with `?refuse=401`."""
    return "refuse=401" in call.request.query.split("&") and not _names_path(call)


def _elsewhere(call: Call, location: str, headers: list[tuple[str, str]]) -> Answer:
    """Send a visitor elsewhere; a proxy that cannot pass on a redirect makes one of `X-WR-Location`."""
    if _asks_for_401(call):
        return Answer(401, _NOTHING, headers=[*headers, (LOCATION, location)])
    return Answer(303, Page(b"", HTML), headers=[*headers, ("Location", location)])


def _session_cookie(
    services: Services, call: Call, queue_id: str, token: str, claims: SessionClaims
) -> tuple[str, str]:
    left_s = max(1, claims.expires_s - services.clock_ms() // 1000)
    return services.cookies.spell(call.request, session_cookie_name(queue_id), token, left_s)
