"""Operations of operators that look: at a queue's history, at changes, for people."""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from wr.api.calls import Answer, Call, Services
from wr.api.office_messages import (
    AuditChange,
    AuditEntryResponse,
    AuditQuery,
    AuditResponse,
    FoundPositionResponse,
    FoundSessionResponse,
    HistoryPoint,
    HistoryQuery,
    HistoryResponse,
    PositionState,
    SilentQuery,
    SilentResponse,
)
from wr.join_rules import Metadata
from wr.model import places
from wr.model.history import HistorySpan, Point
from wr.model.ids import id_text, parse_position_id, parse_session_id, session_id_text
from wr.model.refusals import NotFound
from wr.model.times import rfc3339
from wr.office import FoundPerson
from wr.store.audit import KeptEntry
from wr.store.finds import InLine

_POSITION_STATES: dict[places.Reason, PositionState] = {
    places.Reason.HEARTBEAT_TIMEOUT: "expired",
    places.Reason.CANCELLED: "cancelled",
    places.Reason.FLUSHED: "flushed",
    places.Reason.SESSION_TIMEOUT: "session_expired",
    places.Reason.TERMINATED: "session_terminated",
}
_SESSION_STATES: dict[places.Reason, Literal["expired", "cancelled", "terminated"]] = {
    places.Reason.SESSION_TIMEOUT: "expired",
    places.Reason.CANCELLED: "cancelled",
    places.Reason.TERMINATED: "terminated",
}


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


async def silent(services: Services, call: Call) -> Answer:
    """Tell how many of those who wait a shorter heartbeat timeout would cost. Changes nothing."""
    query: SilentQuery = call.query
    queue_id = call.parameters["queue_id"]
    found = await services.office.silent(queue_id, query.timeout_seconds)
    return Answer(
        200,
        SilentResponse(
            queue_id=queue_id,
            timeout_seconds=query.timeout_seconds,
            waiting=found.waiting,
            silent=found.silent,
        ),
    )


async def audit(services: Services, call: Call) -> Answer:
    """Show who changed what, newest first."""
    wish: AuditQuery = call.query
    page = await services.office.audit(queue_id=wish.queue_id, limit=wish.limit, before=wish.before)
    return Answer(200, AuditResponse(entries=list(map(_entry, page.entries)), next=page.next_before))


async def find_position(services: Services, call: Call) -> Answer:
    """Find a place in line by its id, or what became of it; no sign of the visitor's life."""
    text = call.parameters["position_id"]
    position_id = parse_position_id(text)
    if position_id is None:
        raise NotFound("There is no such position", position_id=text)
    return Answer(200, _position(await services.office.find_position(position_id)))


async def find_session(services: Services, call: Call) -> Answer:
    """Find a session by its id, or how it ended; no activity of the visitor."""
    text = call.parameters["session_id"]
    position_id = parse_session_id(text)
    if position_id is None:
        raise NotFound("There is no such session", session_id=text)
    return Answer(200, _session(await services.office.find_session(position_id)))


def _position(person: FoundPerson) -> FoundPositionResponse:
    place = person.place
    answer = FoundPositionResponse(
        position_id=id_text(person.position_id),
        queue_id=person.queue_id,
        status="waiting",
        queue_length=person.found.queue_length,
    )
    if isinstance(place, InLine):
        answer.position = place.position
        answer.priority = place.priority
        answer.estimated_wait_seconds = person.estimated_wait_s
        answer.enqueued_at = rfc3339(place.enqueued_ms)
        answer.last_seen_at = rfc3339(place.last_seen_ms)
    elif isinstance(place, places.Visit):
        answer.status = "admitted"
        answer.session_id = session_id_text(person.position_id)
        answer.session_started_at = rfc3339(place.started_ms)
        answer.session_expires_at = rfc3339(place.expires_ms)
    else:
        answer.status = _POSITION_STATES[place.reason]
        answer.ended_at = rfc3339(place.ended_ms)
        answer.reason = place.reason.text
        if place.reason.ends_a_session:
            answer.session_id = session_id_text(person.position_id)
    answer.metadata = _metadata(person)
    return answer


def _session(person: FoundPerson) -> FoundSessionResponse:
    place = person.place
    answer = FoundSessionResponse(
        session_id=session_id_text(person.position_id),
        position_id=id_text(person.position_id),
        queue_id=person.queue_id,
        status="active",
    )
    if isinstance(place, places.Visit):
        answer.started_at = rfc3339(place.started_ms)
        answer.expires_at = rfc3339(place.expires_ms)
        answer.remaining_seconds = max(0, place.expires_ms - person.found.now_ms) // 1000
        answer.last_activity = rfc3339(place.last_activity_ms)
        answer.page_views = place.page_views
        answer.addresses = place.addresses
    elif isinstance(place, places.Gone):
        answer.status = _SESSION_STATES[place.reason]
        answer.ended_at = rfc3339(place.ended_ms)
        answer.reason = place.reason.text
    answer.metadata = _metadata(person)
    return answer


def _metadata(person: FoundPerson) -> Metadata | UnsetType:
    told = person.found.metadata
    return msgspec.json.decode(told, type=Metadata) if told else UNSET


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
