"""Operations for issuing and revoking passes."""

from urllib.parse import quote

from wr.api.authenticated_request import AuthenticatedRequest
from wr.api.http_messages import HttpResponse, json_response
from wr.api.passes.messages import (
    IssuedPassesResponse,
    IssuedPassResponse,
    IssuePassesRequest,
    RevokedPassResponse,
    RevokePassRequest,
)
from wr.api.services import Services
from wr.model.refusals import InvalidRequest
from wr.model.times import rfc3339
from wr.room.blocks import BlockTerms
from wr.room.passes import PassTerms


async def issue_passes(services: Services, request: AuthenticatedRequest[IssuePassesRequest]) -> HttpResponse:
    """Create passes for a queue, each with its link. They are shown only in this response."""
    body = request.message
    queue_id = request.queue_id
    issued = await services.issued_passes.issue(
        request.caller.actor,
        queue_id,
        PassTerms(
            subject=body.subject,
            priority=body.priority,
            uses=body.uses,
            expires_in_s=body.expires_in,
            count=body.count,
            first_number=body.first_number,
        ),
    )
    origin = services.public_url or services.cookies.origin_of(request.http)
    return json_response(
        201,
        IssuedPassesResponse(
            queue_id=queue_id,
            priority=body.priority,
            uses=body.uses,
            expires_at=rfc3339(issued[0].made.expires_s * 1000),
            passes=[
                IssuedPassResponse(
                    pass_id=new_pass.made.pass_id,
                    subject=new_pass.made.subject,
                    pass_=new_pass.token,
                    link=f"{origin}/wait/{quote(queue_id)}?pass={new_pass.token}",
                )
                for new_pass in issued
            ],
        ),
    )


async def revoke_pass(services: Services, request: AuthenticatedRequest[RevokePassRequest]) -> HttpResponse:
    """Revoke a pass, and end the place or session that it gave."""
    body = request.message
    if bool(body.pass_) is bool(body.pass_id):
        raise InvalidRequest("Give either the pass or its pass_id", field="pass_id")
    queue_id = request.queue_id
    revoked = await services.issued_passes.revoke(
        request.caller.actor,
        queue_id,
        token=body.pass_,
        pass_id=body.pass_id,
        reason=body.reason,
        block=BlockTerms(body.block_for, body.block),
    )
    return json_response(
        200,
        RevokedPassResponse(
            queue_id=queue_id,
            pass_id=revoked.pass_id,
            uses=revoked.uses,
            place_ended=revoked.has_ended_place,
        ),
    )
