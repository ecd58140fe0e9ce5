"""Routes of the second API (its document, section 2): join, status and subscribe."""

from wr.api.message_readers import Body, Query
from wr.api.route import BASE, Auth, Route
from wr.api.user_queue import messages, operations
from wr.api.user_queue.live_feed import concert_feed
from wr.model import refusals

USER_QUEUE_ROUTES = (
    Route(
        method="POST",
        path=f"{BASE}/waiting-queue/join",
        operation=operations.join_concert,
        counts_itself=True,
        tag="Concerts",
        auth=Auth.USER,
        scope="enqueue",
        reads=Body(messages.ConcertUser),
        answers=((200, "In line, active, or rejected because the line is full", messages.JoinResponse),),
        refusals=(
            *(refusals.NotFound, refusals.StoreFull, refusals.Maintenance, refusals.Forbidden),
            *(refusals.TooManyPlaces, refusals.Blocked, refusals.PassRequired),
        ),
    ),
    Route(
        method="GET",
        path=f"{BASE}/waiting-queue/status",
        operation=operations.concert_status,
        counts_itself=True,
        tag="Concerts",
        auth=Auth.USER,
        scope="status",
        reads=Query(messages.ConcertUser),
        answers=((200, "State of the user", messages.RankResponse),),
        refusals=(refusals.NotFound, refusals.Forbidden),
    ),
    Route(
        method="GET",
        path=f"{BASE}/waiting-queue/subscribe",
        feed=concert_feed,
        tag="Concerts",
        auth=Auth.USER,
        scope="status",
        counts_itself=True,
        reads=Query(messages.ConcertUser),
        answers=((200, "Server-sent events follow", messages.ConcertEvent),),
        refusals=(refusals.NotFound, refusals.Forbidden, refusals.TooManyStreams),
    ),
)
