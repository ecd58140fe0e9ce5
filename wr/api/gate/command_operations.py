"""Operations by which the site behind the gate commands sessions: end, revoke, extend."""

import re

from msgspec import UNSET, UnsetType

from wr.api.authenticated_request import AuthenticatedRequest
from wr.api.gate.messages import SessionCommandRequest, SessionCommandResponse
from wr.api.gate.session_token import read_site_session, sent_tokens
from wr.api.http_messages import HttpResponse, empty_response, json_response
from wr.api.services import Services
from wr.model import refusals
from wr.model.audit import Actor
from wr.model.ids import parse_session_id, session_id_text
from wr.model.places import Admitted
from wr.model.queue import WEEK_S
from wr.model.times import rfc3339
from wr.room.blocks import LONGEST_BLOCK_S, BlockTerms

COMMAND = "x-wr-command"
_COMMAND = re.compile(r"(end|(?:revoke|extend)=([1-9][0-9]{0,7})|revoke)")


async def origin_command(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Carry out what the site said of a session in `X-WR-Command`: `end`, `revoke`, `revoke=SECONDS`, which
    keeps the visitor out for that long besides, or `extend=SECONDS`."""
    spelled = request.http.headers.get(COMMAND, "").strip()
    if not spelled:
        return empty_response(204)
    match = _COMMAND.fullmatch(spelled)
    if match is None:
        raise refusals.InvalidRequest(
            "X-WR-Command must be end, revoke, revoke=SECONDS or extend=SECONDS", field="X-WR-Command"
        )
    queue_id = request.queue_id
    command, seconds = match[1].partition("=")[0], int(match[2] or 0)
    if command == "extend" and seconds > WEEK_S:
        raise refusals.InvalidRequest(f"A session lasts {WEEK_S} seconds at most", field="X-WR-Command")
    if seconds > LONGEST_BLOCK_S:
        raise refusals.InvalidRequest(
            f"A block lasts {LONGEST_BLOCK_S} seconds at most", field="X-WR-Command"
        )
    ended: refusals.SessionExpired | None = None
    for token in sent_tokens(request.http, queue_id):
        claims = await read_site_session(services, queue_id, token)
        if claims is None:
            continue
        try:
            if command == "revoke":
                await _block(
                    services, request.caller.actor, queue_id, claims.position_id, BlockTerms(seconds)
                )
            await services.gate_sessions.command(queue_id, claims.position_id, command, seconds)
        except refusals.SessionExpired as error:
            ended = error
        else:
            return empty_response(204)
    raise ended or refusals.NotFound("There is no session to command")


async def _block(
    services: Services, actor: Actor, queue_id: str, position_id: bytes, wish: BlockTerms
) -> None:
    """Keep a session's visitor out for a while, before the session is ended: its identity goes with it."""
    await services.blocks.block_holder(
        actor,
        queue_id,
        position_id,
        wish,
        of=session_id_text(position_id),
        reason="revoked by the site",
    )


async def session_command(
    services: Services, request: AuthenticatedRequest[SessionCommandRequest]
) -> HttpResponse:
    """End a session because its visitor has finished, give it more time, or revoke it."""
    wish = request.message
    session_id = request.parameters["session_id"]
    position_id = parse_session_id(session_id)
    if position_id is None:
        raise refusals.NotFound("There is no such session", session_id=session_id)
    found = await services.operators.find_session(position_id)
    if wish.command == "revoke":
        await _block(
            services,
            request.caller.actor,
            found.queue_id,
            position_id,
            BlockTerms(wish.block_for, wish.block),
        )
    ends_ms = await services.gate_sessions.command(found.queue_id, position_id, wish.command, wish.seconds)
    token: str | UnsetType = UNSET
    place = found.found.place
    if wish.command == "extend" and isinstance(place, Admitted):
        # Who verifies tokens without asking here would not know of the new end otherwise.
        lasting = Admitted(place.started_ms, ends_ms)
        token = await services.visitors.session_token(position_id, found.queue_id, lasting)
    return json_response(
        200,
        SessionCommandResponse(
            session_id=session_id_text(position_id),
            command=wish.command,
            expires_at=rfc3339(ends_ms),
            session_token=token,
        ),
    )
