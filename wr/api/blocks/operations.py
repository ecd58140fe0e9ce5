"""Operations for blocking visitors, listing blocks and ending them."""

from wr.api.blocks.messages import BlockEndedResponse, BlockListResponse, BlockRequest, BlockResponse
from wr.api.request_context import Answer, RequestContext, Services
from wr.model.times import rfc3339
from wr.room.blocks import block_id, block_scope
from wr.store.block import Block


async def block(services: Services, context: RequestContext) -> Answer:
    """Block an address, a user id, or both, from joining a queue for a while."""
    body: BlockRequest = context.body
    queue_id = context.parameters["queue_id"]
    blocked = await services.blocks.block(
        context.actor,
        queue_id,
        body.block_for,
        address=body.address,
        user_id=body.user_id,
        reason=body.reason,
    )
    return Answer(201, BlockListResponse(queue_id=queue_id, blocks=list(map(_block, blocked))))


async def list_blocks(services: Services, context: RequestContext) -> Answer:
    """List the blocks of a queue, and when they end."""
    queue_id = context.parameters["queue_id"]
    found = await services.blocks.all(queue_id)
    return Answer(200, BlockListResponse(queue_id=queue_id, blocks=list(map(_block, found))))


async def end_block(services: Services, context: RequestContext) -> Answer:
    """End a block. The visitor or address may join again."""
    wanted = context.parameters["block_id"]
    await services.blocks.end(context.actor, context.parameters["queue_id"], wanted)
    return Answer(200, BlockEndedResponse(id=wanted))


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
