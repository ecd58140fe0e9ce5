"""Routes for issuing and revoking passes."""

from wr.api.message_readers import Body
from wr.api.passes import messages, operations
from wr.api.route import admin_route
from wr.model import refusals

PASS_ROUTES = (
    admin_route(
        "POST",
        "/queues/{queue_id}/passes",
        operations.issue_passes,
        reads=Body(messages.IssuePassesRequest),
        answers=((201, "Passes created", messages.IssuedPassesResponse),),
        refusals=(refusals.NotFound,),
    ),
    admin_route(
        "POST",
        "/queues/{queue_id}/passes/revoke",
        operations.revoke_pass,
        reads=Body(messages.RevokePassRequest, is_required=True),
        answers=((200, "Pass revoked", messages.RevokedPassResponse),),
        refusals=(refusals.NotFound, refusals.PassInvalid),
    ),
)
