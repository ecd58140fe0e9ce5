"""Operations for managing queues: create, change, list, delete, flush and measure them (contract: Admin
Endpoints)."""

import msgspec

from wr.api.authenticated_request import AuthenticatedRequest
from wr.api.http_messages import HttpResponse, json_response
from wr.api.message_readers import given_fields
from wr.api.operators.queue_messages import (
    DeleteQueueResponse,
    FlushResponse,
    QueueListResponse,
    QueueResponse,
    QueueSummary,
    StatsResponse,
)
from wr.api.services import Services
from wr.api.setting_fields import answer_values
from wr.model.new_queue import new_queue
from wr.model.queue_settings import QueueConfig
from wr.model.times import rfc3339
from wr.model.whole_numbers import plain
from wr.room.operators import Stats


async def create_queue(services: Services, request: AuthenticatedRequest[msgspec.Struct]) -> HttpResponse:
    """Create a queue."""
    given = given_fields(request.message)
    config = new_queue(given["id"], given)
    await services.page_cache.check_template(config)
    return json_response(201, _queue(await services.operators.create_queue(request.caller.actor, config)))


async def update_queue(services: Services, request: AuthenticatedRequest[msgspec.Struct]) -> HttpResponse:
    """Change the settings of a queue. All servers apply them within one admission interval."""
    changes = given_fields(request.message)
    queue_id = request.queue_id
    if changes.get("page_template"):
        changed = msgspec.structs.replace(await services.operators.queue(queue_id), **changes)
        await services.page_cache.check_template(changed)
    return json_response(
        200, _queue(await services.operators.update_queue(request.caller.actor, queue_id, changes))
    )


async def get_queue(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Show the settings of a queue."""
    return json_response(200, _queue(await services.operators.queue(request.queue_id)))


async def list_queues(services: Services, _request: AuthenticatedRequest[None]) -> HttpResponse:
    """List all queues with figures and forecasts. It is cheap enough to call every few seconds."""
    found = await services.operators.queues()
    summaries = [
        QueueSummary(
            queue=_queue(stats.config, in_list=True),
            stats=_stats(stats),
            estimated_wait_seconds=stats.last_wait_s,
            clears_in_seconds=stats.clears_in_s,
        )
        for stats in found
    ]
    return json_response(200, QueueListResponse(now=rfc3339(services.clock_ms()), queues=summaries))


async def delete_queue(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Delete a queue, with all its places and sessions."""
    queue_id = request.queue_id
    await services.operators.delete_queue(request.caller.actor, queue_id)
    return json_response(200, DeleteQueueResponse(id=queue_id))


async def flush_queue(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Remove all places from the line. Sessions continue."""
    queue_id = request.queue_id
    return json_response(
        200,
        FlushResponse(
            queue_id=queue_id, flushed=await services.operators.flush(request.caller.actor, queue_id)
        ),
    )


async def queue_stats(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Show the figures of a queue. The response's schema says how each is measured."""
    return json_response(200, _stats(await services.operators.stats(request.queue_id)))


def _queue(config: QueueConfig, *, in_list: bool = False) -> QueueResponse:
    return QueueResponse(
        **answer_values(config, in_list=in_list),
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
