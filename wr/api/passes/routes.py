"""Routes for issuing and revoking passes."""

from wr.api.passes import messages, operations
from wr.api.route import Route, admin_route
from wr.model import refusals

PASS_ROUTES: tuple[Route, ...] = (
    admin_route(
        "POST",
        "/queues/{queue_id}/passes",
        operations.issue_passes,
        body=messages.IssuePassesRequest,
        answers=((201, "Passes created", messages.IssuedPassesResponse),),
        refusals=(refusals.NotFound,),
    ),
    admin_route(
        "POST",
        "/queues/{queue_id}/passes/revoke",
        operations.revoke_pass,
        body=messages.RevokePassRequest,
        needs_body=True,
        answers=((200, "Pass revoked", messages.RevokedPassResponse),),
        refusals=(refusals.NotFound, refusals.PassInvalid),
    ),
)
