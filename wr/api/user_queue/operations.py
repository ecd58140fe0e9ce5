"""Operations of the second API: join and status of a concert's users (its document, sections 2.1 and 2.2)."""

from wr.api.authenticated_request import AuthenticatedRequest, Caller
from wr.api.http_messages import HttpResponse, json_response
from wr.api.services import Services
from wr.api.user_queue.messages import ConcertUser, JoinResponse, RankResponse
from wr.room.user_queue import QueueUser, rank_of, status_of


def queue_user(caller: Caller) -> QueueUser:
    """Return what is known about the caller of the request."""
    return QueueUser(caller.address, caller.is_site, caller.has_user_token)


async def join_concert(services: Services, request: AuthenticatedRequest[ConcertUser]) -> HttpResponse:
    """Put a user in line for a concert."""
    user = request.message
    standing = await services.user_queue.join(user.concert_id, user.user_id, queue_user(request.caller))
    return json_response(
        200,
        JoinResponse(
            user_id=user.user_id,
            concert_id=user.concert_id,
            status=status_of(standing.place),
            rank=rank_of(standing.place),
        ),
        standing.usage,
    )


async def concert_status(services: Services, request: AuthenticatedRequest[ConcertUser]) -> HttpResponse:
    """Return the state of a user. It counts as a heartbeat, because this API has no other."""
    user = request.message
    standing = await services.user_queue.status(user.concert_id, user.user_id, queue_user(request.caller))
    response = RankResponse(status=status_of(standing.place), rank=rank_of(standing.place))
    return json_response(200, response, standing.usage)
