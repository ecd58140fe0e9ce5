"""The operation that terminates a session (contract: Admin Endpoints)."""

from msgspec import UNSET

from wr.api.authenticated_request import AuthenticatedRequest
from wr.api.http_messages import HttpResponse, json_response
from wr.api.operators.session_messages import TerminateRequest, TerminateResponse
from wr.api.services import Services
from wr.model.times import rfc3339
from wr.room.blocks import BlockTerms


async def terminate_session(
    services: Services, request: AuthenticatedRequest[TerminateRequest]
) -> HttpResponse:
    """Terminate a session at once. With `block_for`, also block its visitor for a while."""
    body = request.message
    session_id = request.parameters["session_id"]
    block = BlockTerms(body.block_for, body.block)
    done = await services.operators.terminate(request.caller.actor, session_id, body.reason, block)
    until_ms = done.blocked_until_ms
    return json_response(
        200,
        TerminateResponse(
            session_id=session_id,
            terminated_at=rfc3339(done.ended_ms),
            reason=body.reason,
            blocked_until=UNSET if until_ms is None else rfc3339(until_ms),
        ),
    )
