"""Operations of operators that look: at a queue's history, at changes, for people."""

from wr.api.calls import Answer, Call, Services
from wr.api.office_messages import (
    AuditChange,
    AuditEntryResponse,
    AuditQuery,
    AuditResponse,
    HistoryPoint,
    HistoryQuery,
    HistoryResponse,
)
from wr.model.history import HistorySpan, Point
from wr.model.times import rfc3339
from wr.store.audit import KeptEntry


async def queue_history(services: Services, call: Call) -> Answer:
    """Show how a queue went: how many waited and were inside, and what happened, step by step."""
    wish: HistoryQuery = call.query
    span = HistorySpan(wish.span)
    queue_id = call.parameters["queue_id"]
    points = await services.office.history(queue_id, span)
    return Answer(
        200,
        HistoryResponse(
            queue_id=queue_id, span=wish.span, step_seconds=span.step_s, points=list(map(_point, points))
        ),
    )


async def audit(services: Services, call: Call) -> Answer:
    """Show who changed what, newest first."""
    wish: AuditQuery = call.query
    page = await services.office.audit(queue_id=wish.queue_id, limit=wish.limit, before=wish.before)
    return Answer(200, AuditResponse(entries=list(map(_entry, page.entries)), next=page.next_before))


def _entry(kept: KeptEntry) -> AuditEntryResponse:
    entry = kept.entry
    return AuditEntryResponse(
        id=kept.id,
        at=rfc3339(entry.at_ms),
        operator=entry.operator,
        address=entry.address,
        action=entry.action,
        queue_id=entry.queue_id,
        changes={
            name: AuditChange(before=change.before, after=change.after)
            for name, change in entry.changes.items()
        },
        facts=entry.facts,
    )


def _point(point: Point) -> HistoryPoint:
    wait_s = point.average_wait_s
    return HistoryPoint(
        at=rfc3339(point.at_ms),
        waiting=point.waiting,
        active=point.active,
        joined_per_second=round(point.joined_per_s, 6),
        admitted_per_second=round(point.admitted_per_s, 6),
        expired_per_second=round(point.expired_per_s, 6),
        cancelled_per_second=round(point.cancelled_per_s, 6),
        average_wait_seconds=None if wait_s is None else round(wait_s, 3),
    )
