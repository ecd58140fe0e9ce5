"""Operations of the second API: join and status of a concert's users (its document, sections 2.1 and 2.2)."""

from wr.api.calls import Answer, Call, Services
from wr.api.messages import ConcertUser, JoinResponse, RankResponse
from wr.concerts import Caller


def caller_of(call: Call) -> Caller:
    """Tell what is known of the caller."""
    return Caller(call.address, call.is_site, call.has_user_token)


async def join_concert(services: Services, call: Call) -> Answer:
    """Put a user in line for a concert."""
    user: ConcertUser = call.body
    standing = await services.concerts.join(user.concert_id, user.user_id, caller_of(call))
    return Answer(
        200,
        JoinResponse(
            user_id=user.user_id, concert_id=user.concert_id, status=standing.status, rank=standing.rank
        ),
        standing.usage,
    )


async def concert_status(services: Services, call: Call) -> Answer:
    """Tell where a user stands; a sign of life, since this API has no other."""
    user: ConcertUser = call.query
    standing = await services.concerts.status(user.concert_id, user.user_id, caller_of(call))
    return Answer(200, RankResponse(status=standing.status, rank=standing.rank), standing.usage)
