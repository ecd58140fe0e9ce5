"""Operations of operators about entry: passes that are issued and taken back, visitors that are kept out."""

from urllib.parse import quote

from wr.api.calls import Answer, Call, Services
from wr.api.entry_messages import (
    BlockEndedResponse,
    BlockListResponse,
    BlockRequest,
    BlockResponse,
    IssuedPassesResponse,
    IssuedPassResponse,
    IssuePassesRequest,
    RevokedPassResponse,
    RevokePassRequest,
)
from wr.block_service import BlockWish, block_id, block_scope
from wr.model.refusals import InvalidRequest
from wr.model.times import rfc3339
from wr.pass_service import PassWish
from wr.store.blocks import Block


async def issue_passes(services: Services, call: Call) -> Answer:
    """Sign passes for a queue, each with its link; they are told only now."""
    wish: IssuePassesRequest = call.body
    queue_id = call.parameters["queue_id"]
    issued = await services.issued_passes.issue(
        call.actor,
        queue_id,
        PassWish(
            subject=wish.subject,
            priority=wish.priority,
            uses=wish.uses,
            expires_in_s=wish.expires_in,
            count=wish.count,
        ),
    )
    origin = services.public_url or services.cookies.origin_of(call.request)
    return Answer(
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


async def revoke_pass(services: Services, call: Call) -> Answer:
    """Take a pass back, and end the place or session that it gave."""
    wish: RevokePassRequest = call.body
    if bool(wish.pass_) is bool(wish.pass_id):
        raise InvalidRequest("Give either the pass or its pass_id", field="pass_id")
    queue_id = call.parameters["queue_id"]
    revoked = await services.issued_passes.revoke(
        call.actor,
        queue_id,
        token=wish.pass_,
        pass_id=wish.pass_id,
        reason=wish.reason,
        block=BlockWish(wish.block_for, wish.block),
    )
    return Answer(
        200,
        RevokedPassResponse(
            queue_id=queue_id,
            pass_id=revoked.pass_id,
            uses=revoked.uses,
            place_ended=revoked.has_ended_place,
        ),
    )


async def block(services: Services, call: Call) -> Answer:
    """Keep an address, a user id or both from joining a queue for a while."""
    wish: BlockRequest = call.body
    queue_id = call.parameters["queue_id"]
    blocked = await services.blocks.block(
        call.actor,
        queue_id,
        wish.block_for,
        address=wish.address,
        user_id=wish.user_id,
        reason=wish.reason,
    )
    return Answer(201, BlockListResponse(queue_id=queue_id, blocks=list(map(_block, blocked))))


async def list_blocks(services: Services, call: Call) -> Answer:
    """List what is kept from joining a queue, and until when."""
    queue_id = call.parameters["queue_id"]
    found = await services.blocks.all(queue_id)
    return Answer(200, BlockListResponse(queue_id=queue_id, blocks=list(map(_block, found))))


async def end_block(services: Services, call: Call) -> Answer:
    """End a block: what it kept out may join again."""
    wanted = call.parameters["block_id"]
    await services.blocks.end(call.actor, call.parameters["queue_id"], wanted)
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
