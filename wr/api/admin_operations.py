"""Operations of operators (contract: Admin Endpoints, and what operators need beyond it)."""

from collections.abc import Iterable

import msgspec
from msgspec import UNSET

from wr.api.calls import Answer, Call, Services
from wr.api.messages import (
    CreateQueueRequest,
    DeleteQueueResponse,
    FlushResponse,
    KeyListResponse,
    KeyResponse,
    QueueListResponse,
    QueueResponse,
    QueueSummary,
    StatsResponse,
    TerminateRequest,
    TerminateResponse,
    UpdateQueueRequest,
)
from wr.block_service import BlockWish
from wr.model.numbers import plain
from wr.model.queue import QueueConfig
from wr.model.queue_defaults import default_heartbeat_timeout_s, default_session_timeout_s
from wr.model.signing import SigningKey
from wr.model.times import rfc3339
from wr.office import Stats


async def create_queue(services: Services, call: Call) -> Answer:
    """Create a queue."""
    wish: CreateQueueRequest = call.body
    settings = msgspec.structs.asdict(wish)
    if wish.name is UNSET:
        settings["name"] = wish.id
    if wish.session_timeout_seconds is UNSET:
        settings["session_timeout_seconds"] = default_session_timeout_s(wish.id)
    if wish.heartbeat_timeout_seconds is UNSET:
        settings["heartbeat_timeout_seconds"] = default_heartbeat_timeout_s(wish.id)
    config = QueueConfig(**settings)
    await services.desk.check_template(config)
    return Answer(201, _queue(await services.office.create_queue(call.actor, config)))


async def update_queue(services: Services, call: Call) -> Answer:
    """Change a queue's settings; holds at every replica within one admission interval."""
    wish: UpdateQueueRequest = call.body
    changes = {name: value for name, value in msgspec.structs.asdict(wish).items() if value is not UNSET}
    queue_id = call.parameters["queue_id"]
    if wish.page_template:
        changed = msgspec.structs.replace(await services.office.queue(queue_id), **changes)
        await services.desk.check_template(changed)
    return Answer(200, _queue(await services.office.update_queue(call.actor, queue_id, changes)))


async def get_queue(services: Services, call: Call) -> Answer:
    """Show a queue's settings."""
    return Answer(200, _queue(await services.office.queue(call.parameters["queue_id"])))


async def list_queues(services: Services, _call: Call) -> Answer:
    """List every queue with its figures and prospects; cheap enough to be asked for every few seconds."""
    found = await services.office.queues()
    summaries = [
        QueueSummary(
            queue=_queue(stats.config, is_whole=False),
            stats=_stats(stats),
            estimated_wait_seconds=stats.last_wait_s,
            clears_in_seconds=stats.clears_in_s,
        )
        for stats in found
    ]
    return Answer(200, QueueListResponse(now=rfc3339(services.clock_ms()), queues=summaries))


async def delete_queue(services: Services, call: Call) -> Answer:
    """Delete a queue and everyone in it."""
    queue_id = call.parameters["queue_id"]
    await services.office.delete_queue(call.actor, queue_id)
    return Answer(200, DeleteQueueResponse(id=queue_id))


async def flush_queue(services: Services, call: Call) -> Answer:
    """Send away everyone who waits; sessions go on."""
    queue_id = call.parameters["queue_id"]
    return Answer(
        200, FlushResponse(queue_id=queue_id, flushed=await services.office.flush(call.actor, queue_id))
    )


async def queue_stats(services: Services, call: Call) -> Answer:
    """Show a queue's figures; how each is measured stands in the schema of the response."""
    return Answer(200, _stats(await services.office.stats(call.parameters["queue_id"])))


async def terminate_session(services: Services, call: Call) -> Answer:
    """End a session at once; with `block_for`, keep its visitor out for a while."""
    wish: TerminateRequest = call.body
    session_id = call.parameters["session_id"]
    block = BlockWish(wish.block_for, wish.block)
    done = await services.office.terminate(call.actor, session_id, wish.reason, block)
    until_ms = done.blocked_until_ms
    return Answer(
        200,
        TerminateResponse(
            session_id=session_id,
            terminated_at=rfc3339(done.ended_ms),
            reason=wish.reason,
            blocked_until=UNSET if until_ms is None else rfc3339(until_ms),
        ),
    )


async def list_keys(services: Services, _call: Call) -> Answer:
    """List the signing keys, without what is secret of them."""
    return Answer(200, _keys(await services.office.keys()))


async def rotate_keys(services: Services, call: Call) -> Answer:
    """Make new signing keys; tokens signed with earlier ones stay valid until they expire."""
    return Answer(201, _keys(await services.office.rotate_keys(call.actor)))


def _queue(config: QueueConfig, *, is_whole: bool = True) -> QueueResponse:
    return QueueResponse(
        id=config.id,
        name=config.name,
        status=config.status,
        target_url=config.target_url,
        max_active_users=config.max_active_users,
        max_queue_size=config.max_queue_size,
        admission_rate=plain(config.admission_rate),
        session_timeout_seconds=config.session_timeout_seconds,
        heartbeat_interval_seconds=config.heartbeat_interval_seconds,
        heartbeat_timeout_seconds=config.heartbeat_timeout_seconds,
        unique_by=config.unique_by,
        message=config.message,
        logo_url=config.logo_url,
        accent_color=config.accent_color,
        background_color=config.background_color,
        support_url=config.support_url,
        open_paths=config.open_paths,
        open_addresses=config.open_addresses,
        open_agents=config.open_agents,
        outage_policy=config.outage_policy,
        outage_grace_seconds=config.outage_grace_seconds,
        outage_rate=plain(config.outage_rate),
        entry=config.entry,
        open_priority=config.open_priority,
        priority_share=plain(config.priority_share),
        max_places_per_address=config.max_places_per_address,
        session_binding=config.session_binding,
        page_template=config.page_template if is_whole else UNSET,
        created_at=rfc3339(config.created_ms),
        updated_at=rfc3339(config.updated_ms),
    )


def _stats(stats: Stats) -> StatsResponse:
    figures = stats.figures
    mean_wait_s = figures.waited_ms_today / figures.admitted_today / 1000 if figures.admitted_today else 0
    return StatsResponse(
        queue_id=stats.config.id,
        status=stats.config.status,
        current_waiting=figures.waiting,
        current_active=figures.active,
        total_enqueued_today=figures.enqueued_today,
        total_admitted_today=figures.admitted_today,
        total_expired_today=figures.expired_today,
        total_cancelled_today=figures.cancelled_today,
        avg_wait_time_seconds=round(mean_wait_s),
        peak_queue_size=figures.peak_waiting_today,
        admission_rate_actual=plain(round(stats.admitted_per_s, 3)),
    )


def _keys(keys: Iterable[SigningKey]) -> KeyListResponse:
    return KeyListResponse(
        keys=[
            KeyResponse(
                kid=key.kid,
                purpose=key.purpose,
                algorithm=key.algorithm,
                created_at=rfc3339(key.created_ms),
                active_at=rfc3339(key.active_ms),
            )
            for key in keys
        ]
    )
