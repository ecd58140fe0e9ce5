"""The part of the route table about entry: passes and blocks."""

from collections.abc import Callable
from typing import TypeVar

from wr.api import entry_messages, entry_operations
from wr.model import refusals

Made = TypeVar("Made")


def entry_routes(admin: Callable[..., Made]) -> tuple[Made, ...]:
    """Make the routes; `admin` makes a route of the admin API: method, path, operation and the rest."""
    return (
        admin(
            "POST",
            "/queues/{queue_id}/passes",
            entry_operations.issue_passes,
            body=entry_messages.IssuePassesRequest,
            answers=((201, "Passes signed", entry_messages.IssuedPassesResponse),),
            refusals=(refusals.NotFound,),
        ),
        admin(
            "POST",
            "/queues/{queue_id}/passes/revoke",
            entry_operations.revoke_pass,
            body=entry_messages.RevokePassRequest,
            needs_body=True,
            answers=((200, "Pass taken back", entry_messages.RevokedPassResponse),),
            refusals=(refusals.NotFound, refusals.PassInvalid),
        ),
        admin(
            "GET",
            "/queues/{queue_id}/blocks",
            entry_operations.list_blocks,
            answers=((200, "What is kept out", entry_messages.BlockListResponse),),
            refusals=(refusals.NotFound,),
        ),
        admin(
            "POST",
            "/queues/{queue_id}/blocks",
            entry_operations.block,
            body=entry_messages.BlockRequest,
            needs_body=True,
            answers=((201, "Kept out", entry_messages.BlockListResponse),),
            refusals=(refusals.NotFound,),
        ),
        admin(
            "DELETE",
            "/queues/{queue_id}/blocks/{block_id}",
            entry_operations.end_block,
            answers=((200, "Block ended", entry_messages.BlockEndedResponse),),
            refusals=(refusals.NotFound,),
        ),
    )
