"""Operations of visitors (contract: Enqueue to Session Activity)."""

from typing import Literal

from msgspec import UNSET, UnsetType

from wr.api.calls import Answer, Call, Services
from wr.api.messages import (
    ActivityRequest,
    ActivityResponse,
    AdmittedHeartbeat,
    AdmittedStatus,
    CancelResponse,
    EndSessionResponse,
    EnqueueRequest,
    EnqueueResponse,
    PublicQueueResponse,
    SessionResponse,
    WaitingHeartbeat,
    WaitingStatus,
)
from wr.join_rules import PositionProof, Visitor
from wr.model.client_address import forwarding
from wr.model.ids import id_text, session_id_text
from wr.model.queue import QueueStatus
from wr.model.times import rfc3339
from wr.model.tokens import SessionClaims
from wr.room import Line
from wr.store.polls import PollKind
from wr.store.visits import VisitKind

FORWARDED = "X-WR-Forwarded"
"""Tells whoever asks through a proxy whether it is one of those that are trusted; no address is told."""

PASS = "x-wr-pass"  # noqa: S105 - the name of a header
"""The header that a pass comes in."""


async def enqueue(services: Services, call: Call) -> Answer:
    """Join a queue: 201 with a new place, 200 with the one the same person has already."""
    wish: EnqueueRequest = call.body
    queue_id = call.parameters["queue_id"]
    given = call.request.headers.get(PASS) or wish.pass_
    used_pass = None
    if given:
        await services.room.view(queue_id)  # No pass is looked at for a queue that does not exist.
        used_pass = await services.passes.read(given, queue_id, call.address)
    visitor = Visitor(call.address, call.user_agent, call.position, used_pass, call.is_site, call.keeps_token)
    place = await services.room.enqueue(queue_id, visitor, wish.priority, wish.metadata)
    if isinstance(place, Line):
        return Answer(
            201 if place.is_new else 200,
            EnqueueResponse(
                position_id=id_text(place.position_id),
                queue_id=place.config.id,
                position=place.position,
                queue_length=place.queue_length,
                estimated_wait_seconds=place.estimated_wait_s,
                priority=place.priority,
                status="waiting",
                token=place.token,
                heartbeat_interval_seconds=place.config.heartbeat_interval_seconds,
                heartbeat_timeout_seconds=place.config.heartbeat_timeout_seconds,
                expires_at=rfc3339(place.token_expires_s * 1000),
                queue_status=held_status(place.config.status),
                recovering=place.is_recovering or UNSET,
            ),
            place.usage,
        )
    return Answer(
        200,
        EnqueueResponse(
            position_id=id_text(place.position_id),
            queue_id=place.config.id,
            position=0,
            queue_length=place.queue_length,
            estimated_wait_seconds=0,
            priority=place.priority,
            status="admitted",
            token=place.token,
            heartbeat_interval_seconds=place.config.heartbeat_interval_seconds,
            heartbeat_timeout_seconds=place.config.heartbeat_timeout_seconds,
            expires_at=rfc3339(place.token_expires_s * 1000),
            session_token=place.session_token,
            redirect_url=place.config.target_url,
            session_expires_at=rfc3339(place.session_expires_ms),
        ),
        place.usage,
    )


async def queue_facts(services: Services, call: Call) -> Answer:
    """Tell what anybody may know of a queue; asks no store, so that many may ask."""
    view = await services.room.view(call.parameters["queue_id"])
    config, request = view.config, call.request
    forwarded_for = request.headers.get("x-forwarded-for", "")
    return Answer(
        200,
        PublicQueueResponse(
            id=config.id,
            name=config.name,
            status=config.status,
            queue_length=view.waiting,
            estimated_wait_seconds=view.estimated_wait_s(view.waiting + 1),
            heartbeat_interval_seconds=config.heartbeat_interval_seconds,
            heartbeat_timeout_seconds=config.heartbeat_timeout_seconds,
            message=config.message,
            logo_url=config.logo_url,
            accent_color=config.accent_color,
            background_color=config.background_color,
            support_url=config.support_url,
            entry=config.entry,
        ),
        headers=[(FORWARDED, forwarding(request.peer, forwarded_for, services.trusted_proxies))],
    )


async def status(services: Services, call: Call) -> Answer:
    """Tell where the holder of the token stands; not a sign of life."""
    place = await services.room.poll(_proof(call), PollKind.STATUS)
    if isinstance(place, Line):
        return Answer(
            200,
            WaitingStatus(
                position_id=id_text(place.position_id),
                queue_id=place.config.id,
                position=place.position,
                queue_length=place.queue_length,
                estimated_wait_seconds=place.estimated_wait_s,
                token=place.token,
                expires_at=rfc3339(place.token_expires_s * 1000),
                queue_status=held_status(place.config.status),
                recovering=place.is_recovering or UNSET,
            ),
            place.usage,
        )
    return Answer(
        200,
        AdmittedStatus(
            position_id=id_text(place.position_id),
            queue_id=place.config.id,
            queue_length=place.queue_length,
            session_token=place.session_token,
            redirect_url=place.config.target_url,
            session_expires_at=rfc3339(place.session_expires_ms),
        ),
        place.usage,
    )


async def heartbeat(services: Services, call: Call) -> Answer:
    """Keep the place in line."""
    place = await services.room.poll(_proof(call), PollKind.HEARTBEAT)
    if isinstance(place, Line):
        return Answer(
            200,
            WaitingHeartbeat(
                position_id=id_text(place.position_id),
                position=place.position,
                queue_length=place.queue_length,
                estimated_wait_seconds=place.estimated_wait_s,
                token=place.token,
                next_heartbeat_seconds=place.config.heartbeat_interval_seconds,
                heartbeat_timeout_seconds=place.config.heartbeat_timeout_seconds,
                queue_status=held_status(place.config.status),
                recovering=place.is_recovering or UNSET,
            ),
            place.usage,
        )
    return Answer(
        200,
        AdmittedHeartbeat(
            position_id=id_text(place.position_id),
            session_token=place.session_token,
            redirect_url=place.config.target_url,
        ),
        place.usage,
    )


async def cancel(services: Services, call: Call) -> Answer:
    """Leave: give up the place, or the session it became."""
    left = await services.room.leave(_proof(call).claims)
    return Answer(
        200,
        CancelResponse(position_id=id_text(left.position_id), cancelled_at=rfc3339(left.at_ms)),
        left.usage,
    )


async def session_status(services: Services, call: Call) -> Answer:
    """Tell how a session stands."""
    state = await services.room.session(_session(call), VisitKind.STATUS)
    visit = state.visit
    return Answer(
        200,
        SessionResponse(
            session_id=session_id_text(state.claims.position_id),
            queue_id=state.claims.queue_id,
            position_id=id_text(state.claims.position_id),
            started_at=rfc3339(visit.started_ms),
            expires_at=rfc3339(visit.expires_ms),
            last_activity=rfc3339(visit.last_activity_ms),
            page_views=visit.page_views,
            remaining_seconds=max(0, visit.expires_ms - state.now_ms) // 1000,
        ),
        state.usage,
    )


async def end_session(services: Services, call: Call) -> Answer:
    """Leave: end the session, so that it takes nobody's room any longer."""
    claims = _session(call)
    left = await services.room.leave(claims)
    return Answer(
        200,
        EndSessionResponse(
            session_id=session_id_text(claims.position_id),
            ended_at=rfc3339(left.at_ms),
        ),
        left.usage,
    )


async def session_activity(services: Services, call: Call) -> Answer:
    """Record that a visitor did something in a session."""
    report: ActivityRequest = call.body
    kind = VisitKind.PAGE_VIEW if report.action == "page_view" else VisitKind.ACTIVITY
    state = await services.room.session(_session(call), kind)
    return Answer(
        200,
        ActivityResponse(
            session_id=session_id_text(state.claims.position_id),
            page_views=state.visit.page_views,
            expires_at=rfc3339(state.visit.expires_ms),
        ),
        state.usage,
    )


def held_status(status: QueueStatus) -> Literal["paused", "maintenance"] | UnsetType:
    """Say why nobody is being let in; nothing while people are."""
    if status is QueueStatus.ACTIVE:
        return UNSET
    return "paused" if status is QueueStatus.PAUSED else "maintenance"


def _proof(call: Call) -> PositionProof:
    if call.position is None:
        raise AssertionError("the route asks for a position token")
    return call.position


def _session(call: Call) -> SessionClaims:
    if call.session is None:
        raise AssertionError("the route asks for a session token")
    return call.session
