"""Operations for commands of the site about its visitors' sessions: end, revoke, extend."""

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
from wr.model.queue_settings import WEEK_S
from wr.model.times import rfc3339
from wr.room.blocks import LONGEST_BLOCK_S, BlockTerms

COMMAND = "x-wr-command"
_COMMAND = re.compile(r"(end|(?:revoke|extend)=([1-9][0-9]{0,7})|revoke)")


async def origin_command(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Execute the site's command about a session, from the header `X-WR-Command` of its response.

    The commands are `end`, `revoke`, `revoke=SECONDS`, which also blocks the visitor for that long, and
    `extend=SECONDS`.
    """
    value = request.http.headers.get(COMMAND, "").strip()
    if not value:
        return empty_response(204)
    match = _COMMAND.fullmatch(value)
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
    raise ended or refusals.NotFound("The request has no session for the command")


async def _block(
    services: Services, actor: Actor, queue_id: str, position_id: bytes, terms: BlockTerms
) -> None:
    """Block the visitor of a session. Call it before the session ends, because the identity ends with it."""
    await services.blocks.block_holder(
        actor,
        queue_id,
        position_id,
        terms,
        of=session_id_text(position_id),
        reason="revoked by the site",
    )


async def session_command(
    services: Services, request: AuthenticatedRequest[SessionCommandRequest]
) -> HttpResponse:
    """End, extend or revoke a session for the site behind the gate."""
    body = request.message
    session_id = request.parameters["session_id"]
    position_id = parse_session_id(session_id)
    if position_id is None:
        raise refusals.NotFound("There is no such session", session_id=session_id)
    found = await services.operators.find_session(position_id)
    if body.command == "revoke":
        await _block(
            services,
            request.caller.actor,
            found.queue_id,
            position_id,
            BlockTerms(body.block_for, body.block),
        )
    ends_ms = await services.gate_sessions.command(found.queue_id, position_id, body.command, body.seconds)
    token: str | UnsetType = UNSET
    place = found.found.place
    if body.command == "extend" and isinstance(place, Admitted):
        # A site that verifies tokens itself learns the new end only from a new token.
        extended = Admitted(place.started_ms, ends_ms)
        token = await services.visitors.session_token(position_id, found.queue_id, extended)
    return json_response(
        200,
        SessionCommandResponse(
            session_id=session_id_text(position_id),
            command=body.command,
            expires_at=rfc3339(ends_ms),
            session_token=token,
        ),
    )
