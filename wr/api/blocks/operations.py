"""Operations for blocking visitors, listing blocks and ending them."""

from wr.api.authenticated_request import AuthenticatedRequest
from wr.api.blocks.messages import BlockEndedResponse, BlockListResponse, BlockRequest, BlockResponse
from wr.api.http_messages import HttpResponse, json_response
from wr.api.services import Services
from wr.model.times import rfc3339
from wr.room.blocks import block_id, block_scope
from wr.store.block import Block


async def block(services: Services, request: AuthenticatedRequest[BlockRequest]) -> HttpResponse:
    """Block an address, a user id, or both, from joining a queue for a while."""
    body = request.message
    queue_id = request.queue_id
    blocked = await services.blocks.block(
        request.caller.actor,
        queue_id,
        body.block_for,
        address=body.address,
        user_id=body.user_id,
        reason=body.reason,
    )
    return json_response(201, BlockListResponse(queue_id=queue_id, blocks=list(map(_block, blocked))))


async def list_blocks(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """List the blocks of a queue, and when they end."""
    queue_id = request.queue_id
    found = await services.blocks.all(queue_id)
    return json_response(200, BlockListResponse(queue_id=queue_id, blocks=list(map(_block, found))))


async def end_block(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """End a block. The visitor or address may join again."""
    wanted = request.parameters["block_id"]
    await services.blocks.end(request.caller.actor, request.queue_id, wanted)
    return json_response(200, BlockEndedResponse(id=wanted))


def _block(found: Block) -> BlockResponse:
    note = found.note
    return BlockResponse(
        id=block_id(found.member),
        scope="address" if block_scope(found) == "address" else "person",
        of=note.of,
        reason=note.reason,
        operator=note.operator,
        created_at=rfc3339(note.created_ms),
        blocked_until=rfc3339(found.until_ms),
    )
