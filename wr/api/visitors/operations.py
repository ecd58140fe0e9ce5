"""Operations on a visitor's place: join, status, heartbeat, cancel (contract: Enqueue to Cancel)."""

from typing import Literal

from msgspec import UNSET, UnsetType

from wr.api.request_context import Answer, RequestContext, Services
from wr.api.setting_fields import public_values
from wr.api.visitors.messages import (
    AdmittedHeartbeat,
    AdmittedStatus,
    CancelResponse,
    EnqueueRequest,
    EnqueueResponse,
    PublicQueueResponse,
    WaitingHeartbeat,
    WaitingStatus,
)
from wr.model.client_address import forwarding
from wr.model.idempotency_key import HEADER, retry_of
from wr.model.ids import id_text, session_id_text
from wr.model.places import Waiting
from wr.model.queue import QueueStatus
from wr.model.times import rfc3339
from wr.model.tokens import PositionProof
from wr.room.join_rules import JoiningVisitor
from wr.store.poll import PollKind

FORWARDED = "X-WR-Forwarded"
"""Header that tells whether the proxy in front is trusted, for checks of a setup. It names no address."""

IDEMPOTENCY_KEY = HEADER.lower()
"""Header with which a repeated join finds its place."""
PASS = "x-wr-pass"  # noqa: S105 - the name of a header
"""Header with a pass."""


async def enqueue(services: Services, context: RequestContext) -> Answer:
    """Join a queue: 201 with a new place, or 200 with the place that the visitor already has."""
    body: EnqueueRequest = context.body
    queue_id = context.parameters["queue_id"]
    given = context.request.headers.get(PASS) or body.pass_
    used_pass = None
    if given:
        await services.visitors.view(queue_id)  # Checks first that the queue exists.
        used_pass = await services.passes.read(given, queue_id, context.address)
    visitor = JoiningVisitor(
        context.address,
        context.user_agent,
        context.position,
        used_pass,
        context.is_site,
        context.keeps_token,
        _retry(context, body, given),
    )
    held = await services.visitors.enqueue(queue_id, visitor, body.priority, body.metadata)
    claims, config = held.proof.claims, held.view.config
    if isinstance(held.place, Waiting):
        return Answer(
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
    return Answer(
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


def _retry(context: RequestContext, body: EnqueueRequest, given_pass: str) -> bytes:
    """Read the idempotency key of a join. Empty if there is none."""
    key = context.request.headers.get(IDEMPOTENCY_KEY)
    if key is None:
        return b""
    return retry_of(key, {"priority": body.priority, "metadata": body.metadata, "pass": given_pass})


async def queue_facts(services: Services, context: RequestContext) -> Answer:
    """Return the public facts about a queue. It does not read the store, so it can serve many requests."""
    view = await services.visitors.view(context.parameters["queue_id"])
    config, request = view.config, context.request
    forwarded_for = request.headers.get("x-forwarded-for", "")
    return Answer(
        200,
        PublicQueueResponse(
            **public_values(config),
            queue_length=view.waiting,
            estimated_wait_seconds=view.estimated_wait_s(view.waiting + 1),
        ),
        headers=[(FORWARDED, forwarding(request.peer, forwarded_for, services.trusted_proxies))],
    )


async def status(services: Services, context: RequestContext) -> Answer:
    """Return the place of the token. It does not count as a heartbeat."""
    held = await services.visitors.poll(_proof(context), PollKind.STATUS)
    claims, config = held.proof.claims, held.view.config
    if isinstance(held.place, Waiting):
        return Answer(
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
    return Answer(
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


async def heartbeat(services: Services, context: RequestContext) -> Answer:
    """Keep the place in line."""
    held = await services.visitors.poll(_proof(context), PollKind.HEARTBEAT)
    claims, config = held.proof.claims, held.view.config
    if isinstance(held.place, Waiting):
        return Answer(
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
    return Answer(
        200,
        AdmittedHeartbeat(
            position_id=id_text(claims.position_id),
            session_id=session_id_text(claims.position_id),
            session_token=held.session_token,
            redirect_url=config.target_url,
        ),
        held.usage,
    )


async def cancel(services: Services, context: RequestContext) -> Answer:
    """Leave the queue: cancel the place, or the session that it became."""
    claims = _proof(context).claims
    left = await services.visitors.leave(claims)
    return Answer(
        200,
        CancelResponse(position_id=id_text(claims.position_id), cancelled_at=rfc3339(left.place.ended_ms)),
        left.usage,
    )


def held_status(status: QueueStatus) -> Literal["paused", "maintenance"] | UnsetType:
    """Return why no visitor is admitted, or nothing for an active queue."""
    if status is QueueStatus.ACTIVE:
        return UNSET
    return "paused" if status is QueueStatus.PAUSED else "maintenance"


def _proof(context: RequestContext) -> PositionProof:
    if context.position is None:
        raise AssertionError("the route asks for a position token")
    return context.position
