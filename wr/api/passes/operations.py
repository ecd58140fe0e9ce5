"""Operations with which operators issue and revoke passes."""

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
    """Sign passes for a queue, each with its link; they are told only now."""
    wish = request.message
    queue_id = request.queue_id
    issued = await services.issued_passes.issue(
        request.caller.actor,
        queue_id,
        PassTerms(
            subject=wish.subject,
            priority=wish.priority,
            uses=wish.uses,
            expires_in_s=wish.expires_in,
            count=wish.count,
            first_number=wish.first_number,
        ),
    )
    origin = services.public_url or services.cookies.origin_of(request.http)
    return json_response(
        201,
        IssuedPassesResponse(
            queue_id=queue_id,
            priority=wish.priority,
            uses=wish.uses,
            expires_at=rfc3339(issued[0].made.expires_s * 1000),
            passes=[
                IssuedPassResponse(
                    pass_id=each.made.pass_id,
                    subject=each.made.subject,
                    pass_=each.token,
                    link=f"{origin}/wait/{quote(queue_id)}?pass={each.token}",
                )
                for each in issued
            ],
        ),
    )


async def revoke_pass(services: Services, request: AuthenticatedRequest[RevokePassRequest]) -> HttpResponse:
    """Take a pass back, and end the place or session that it gave."""
    wish = request.message
    if bool(wish.pass_) is bool(wish.pass_id):
        raise InvalidRequest("Give either the pass or its pass_id", field="pass_id")
    queue_id = request.queue_id
    revoked = await services.issued_passes.revoke(
        request.caller.actor,
        queue_id,
        token=wish.pass_,
        pass_id=wish.pass_id,
        reason=wish.reason,
        block=BlockTerms(wish.block_for, wish.block),
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
