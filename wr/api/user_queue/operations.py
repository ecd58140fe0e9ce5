"""Operations of the second API: join and status of a concert's users (its document, sections 2.1 and 2.2)."""

from wr.api.request_context import Answer, RequestContext, Services
from wr.api.user_queue.messages import ConcertUser, JoinResponse, RankResponse
from wr.room.user_queue import QueueUser, rank_of, status_of


def caller_of(context: RequestContext) -> QueueUser:
    """Return what is known about the caller of the request."""
    return QueueUser(context.address, context.is_site, context.has_user_token)


async def join_concert(services: Services, context: RequestContext) -> Answer:
    """Put a user in line for a concert."""
    user: ConcertUser = context.body
    standing = await services.user_queue.join(user.concert_id, user.user_id, caller_of(context))
    return Answer(
        200,
        JoinResponse(
            user_id=user.user_id,
            concert_id=user.concert_id,
            status=status_of(standing.place),
            rank=rank_of(standing.place),
        ),
        standing.usage,
    )


async def concert_status(services: Services, context: RequestContext) -> Answer:
    """Return the state of a user. It counts as a heartbeat, because this API has no other."""
    user: ConcertUser = context.query
    standing = await services.user_queue.status(user.concert_id, user.user_id, caller_of(context))
    response = RankResponse(status=status_of(standing.place), rank=rank_of(standing.place))
    return Answer(200, response, standing.usage)
