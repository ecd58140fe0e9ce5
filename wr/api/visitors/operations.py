"""Operations on a visitor's place: join, status, heartbeat, cancel (contract: Enqueue to Cancel)."""

from functools import partial
from typing import Literal

from msgspec import UNSET, UnsetType

from wr.api.authenticated_request import AuthenticatedRequest, MessageT
from wr.api.http_messages import HttpRequest, HttpResponse, json_response
from wr.api.services import Services
from wr.api.visitors.messages import (
    AdmittedHeartbeat,
    AdmittedStatus,
    CancelResponse,
    EnqueueRequest,
    EnqueueResponse,
    HeartbeatRequest,
    WaitingHeartbeat,
    WaitingStatus,
)
from wr.model.idempotency_key import HEADER, retry_of
from wr.model.ids import id_text, session_id_text
from wr.model.limits import Usage
from wr.model.passes import Pass
from wr.model.places import Waiting
from wr.model.queue_settings import QueueStatus
from wr.model.times import rfc3339
from wr.room.join_rules import JoiningVisitor
from wr.room.visitors import HeldPlace
from wr.store.poll import PollKind
from wr.store.store_call import Answer, Later

IDEMPOTENCY_KEY = HEADER.lower()
"""Header with which a repeated join finds its place."""
PASS = "x-wr-pass"  # noqa: S105 - the name of a header
"""Header with a pass."""


def enqueue(services: Services, request: AuthenticatedRequest[EnqueueRequest]) -> Answer[HttpResponse]:
    """Join a queue: 201 with a new place, or 200 with the place that the visitor already has."""
    given = request.http.headers.get(PASS) or request.message.pass_
    if given:
        return Later(partial(_enqueue_with_pass, services, request, given))
    return _enqueue(services, request, "", None)


async def _enqueue_with_pass(
    services: Services, request: AuthenticatedRequest[EnqueueRequest], given: str
) -> Answer[HttpResponse]:
    queue_id = request.queue_id
    await services.visitors.view(queue_id)  # Checks first that the queue exists.
    used_pass = await services.passes.read(given, queue_id, request.caller.address)
    return _enqueue(services, request, given, used_pass)


def _enqueue(
    services: Services,
    request: AuthenticatedRequest[EnqueueRequest],
    given_pass: str,
    used_pass: Pass | None,
) -> Answer[HttpResponse]:
    body, caller = request.message, request.caller
    visitor = JoiningVisitor(
        caller.address,
        request.user_agent,
        caller.position,
        used_pass,
        caller.is_site,
        caller.keeps_token,
        _retry(request.http, body, given_pass),
    )
    then = partial(_enqueued, services, request)
    return services.visitors.begin_enqueue(request.queue_id, visitor, body.priority, body.metadata, then)


def _enqueued(
    services: Services, request: AuthenticatedRequest[EnqueueRequest], held: HeldPlace
) -> HttpResponse:
    claims, config = held.proof.claims, held.view.config
    if isinstance(held.place, Waiting):
        return _with_token(
            services,
            request,
            201 if held.is_new else 200,
            EnqueueResponse(
                position_id=id_text(claims.position_id),
                queue_id=config.id,
                position=held.place.position,
                queue_length=held.queue_length,
                estimated_wait_seconds=held.estimated_wait_s,
                priority=claims.priority,
                status="waiting",
                token=held.proof.token,
                heartbeat_interval_seconds=config.heartbeat_interval_seconds,
                heartbeat_timeout_seconds=config.heartbeat_timeout_seconds,
                expires_at=rfc3339(claims.expires_s * 1000),
                queue_status=held_status(config.status),
                recovering=held.view.is_recovering or UNSET,
            ),
            held.usage,
        )
    return _with_token(
        services,
        request,
        200,
        EnqueueResponse(
            position_id=id_text(claims.position_id),
            queue_id=config.id,
            position=0,
            queue_length=held.queue_length,
            estimated_wait_seconds=0,
            priority=claims.priority,
            status="admitted",
            token=held.proof.token,
            heartbeat_interval_seconds=config.heartbeat_interval_seconds,
            heartbeat_timeout_seconds=config.heartbeat_timeout_seconds,
            expires_at=rfc3339(claims.expires_s * 1000),
            session_id=session_id_text(claims.position_id),
            session_token=held.session_token,
            redirect_url=config.target_url,
            session_expires_at=rfc3339(held.place.expires_ms),
        ),
        held.usage,
    )


def _retry(http: HttpRequest, body: EnqueueRequest, given_pass: str) -> bytes:
    """Read the idempotency key of a join. Empty if there is none."""
    key = http.headers.get(IDEMPOTENCY_KEY)
    if key is None:
        return b""
    return retry_of(key, {"priority": body.priority, "metadata": body.metadata, "pass": given_pass})


def status(services: Services, request: AuthenticatedRequest[None]) -> Answer[HttpResponse]:
    """Return the place of the token. It does not count as a heartbeat."""
    then = partial(_status_told, services, request)
    return services.visitors.begin_poll(request.proven_position, PollKind.STATUS, then)


def _status_told(services: Services, request: AuthenticatedRequest[None], held: HeldPlace) -> HttpResponse:
    claims, config = held.proof.claims, held.view.config
    if isinstance(held.place, Waiting):
        return _with_token(
            services,
            request,
            200,
            WaitingStatus(
                position_id=id_text(claims.position_id),
                queue_id=config.id,
                position=held.place.position,
                queue_length=held.queue_length,
                estimated_wait_seconds=held.estimated_wait_s,
                token=held.proof.token,
                expires_at=rfc3339(claims.expires_s * 1000),
                queue_status=held_status(config.status),
                recovering=held.view.is_recovering or UNSET,
            ),
            held.usage,
        )
    return json_response(
        200,
        AdmittedStatus(
            position_id=id_text(claims.position_id),
            queue_id=config.id,
            queue_length=held.queue_length,
            session_id=session_id_text(claims.position_id),
            session_token=held.session_token,
            redirect_url=config.target_url,
            session_expires_at=rfc3339(held.place.expires_ms),
        ),
        held.usage,
    )


def heartbeat(services: Services, request: AuthenticatedRequest[HeartbeatRequest]) -> Answer[HttpResponse]:
    """Keep the place in line."""
    then = partial(_heartbeat_taken, services, request)
    return services.visitors.begin_poll(request.proven_position, PollKind.HEARTBEAT, then)


def _heartbeat_taken(
    services: Services, request: AuthenticatedRequest[HeartbeatRequest], held: HeldPlace
) -> HttpResponse:
    claims, config = held.proof.claims, held.view.config
    if isinstance(held.place, Waiting):
        return _with_token(
            services,
            request,
            200,
            WaitingHeartbeat(
                position_id=id_text(claims.position_id),
                position=held.place.position,
                queue_length=held.queue_length,
                estimated_wait_seconds=held.estimated_wait_s,
                token=held.proof.token,
                next_heartbeat_seconds=config.heartbeat_interval_seconds,
                heartbeat_timeout_seconds=config.heartbeat_timeout_seconds,
                queue_status=held_status(config.status),
                recovering=held.view.is_recovering or UNSET,
            ),
            held.usage,
        )
    return json_response(
        200,
        AdmittedHeartbeat(
            position_id=id_text(claims.position_id),
            session_id=session_id_text(claims.position_id),
            session_token=held.session_token,
            redirect_url=config.target_url,
        ),
        held.usage,
    )


async def cancel(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Leave the queue: cancel the place, or the session that it became."""
    claims = request.proven_position.claims
    left = await services.visitors.leave(claims)
    message = CancelResponse(
        position_id=id_text(claims.position_id), cancelled_at=rfc3339(left.place.ended_ms)
    )
    response = json_response(200, message, left.usage)
    if request.caller.keeps_token_in_cookie:
        response.extra_headers.append(services.cookies.forget(request.http, request.queue_id))
    return response


def held_status(status: QueueStatus) -> Literal["paused", "maintenance"] | UnsetType:
    """Return why no visitor is admitted, or nothing for an active queue."""
    if status is QueueStatus.ACTIVE:
        return UNSET
    return "paused" if status is QueueStatus.PAUSED else "maintenance"


def _with_token(
    services: Services,
    request: AuthenticatedRequest[MessageT],
    status: int,
    message: EnqueueResponse | WaitingStatus | WaitingHeartbeat,
    usage: Usage | None,
) -> HttpResponse:
    """Make a response that brings a position token; in a cookie, where the client asks for that."""
    if not request.caller.keeps_token_in_cookie or not isinstance(message.token, str):
        return json_response(status, message, usage)
    cookie = services.cookies.place(request.http, request.queue_id, message.token)
    message.token = UNSET
    response = json_response(status, message, usage)
    response.extra_headers.append(cookie)
    return response
