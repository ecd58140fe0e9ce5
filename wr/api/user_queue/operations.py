"""Operations of the second API: join and status of a concert's users (its document, sections 2.1 and 2.2)."""

from functools import partial

from wr.api.authenticated_request import AuthenticatedRequest, Caller
from wr.api.http_messages import HttpResponse, json_response
from wr.api.services import Services
from wr.api.user_queue.messages import ConcertUser, JoinResponse, RankResponse
from wr.model.places import Place
from wr.room.user_queue import QueueUser, UserPlace, rank_of, status_of
from wr.room.visitors import Standing
from wr.store.store_call import Answer


def queue_user(caller: Caller) -> QueueUser:
    """Return what is known about the caller of the request."""
    return QueueUser(caller.address, caller.is_site, caller.has_user_token)


def join_concert(services: Services, request: AuthenticatedRequest[ConcertUser]) -> Answer[HttpResponse]:
    """Put a user in line for a concert."""
    user, caller = request.message, queue_user(request.caller)
    return services.user_queue.begin_join(user.concert_id, user.user_id, caller, partial(_joined, user))


def _joined(user: ConcertUser, standing: Standing[UserPlace]) -> HttpResponse:
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


def concert_status(services: Services, request: AuthenticatedRequest[ConcertUser]) -> Answer[HttpResponse]:
    """Return the state of a user. It counts as a heartbeat, because this API has no other."""
    user, caller = request.message, queue_user(request.caller)
    return services.user_queue.begin_status(user.concert_id, user.user_id, caller, _status_told)


def _status_told(standing: Standing[Place]) -> HttpResponse:
    response = RankResponse(status=status_of(standing.place), rank=rank_of(standing.place))
    return json_response(200, response, standing.usage)
