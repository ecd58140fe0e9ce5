"""Routes for blocking visitors, listing blocks and ending them."""

from wr.api.blocks import messages, operations
from wr.api.message_readers import NOTHING, Body
from wr.api.route import admin_route
from wr.model import refusals

BLOCK_ROUTES = (
    admin_route(
        "GET",
        "/queues/{queue_id}/blocks",
        operations.list_blocks,
        reads=NOTHING,
        answers=((200, "Blocks of the queue", messages.BlockListResponse),),
        refusals=(refusals.NotFound,),
    ),
    admin_route(
        "POST",
        "/queues/{queue_id}/blocks",
        operations.block,
        reads=Body(messages.BlockRequest, is_required=True),
        answers=((201, "Blocked", messages.BlockListResponse),),
        refusals=(refusals.NotFound,),
    ),
    admin_route(
        "DELETE",
        "/queues/{queue_id}/blocks/{block_id}",
        operations.end_block,
        reads=NOTHING,
        answers=((200, "Block ended", messages.BlockEndedResponse),),
        refusals=(refusals.NotFound,),
    ),
)
