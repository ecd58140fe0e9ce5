"""Operations that find one visitor by the id of a position or a session."""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from wr.api.authenticated_request import AuthenticatedRequest
from wr.api.http_messages import HttpResponse, json_response
from wr.api.operators.people_messages import FoundPositionResponse, FoundSessionResponse, PositionState
from wr.api.services import Services
from wr.model.ids import id_text, parse_position_id, parse_session_id, session_id_text
from wr.model.places import Admitted, Gone, Reason, Waiting
from wr.model.refusals import NotFound
from wr.model.times import rfc3339
from wr.room.join_rules import Metadata
from wr.room.operators import FoundPerson

_POSITION_STATES: dict[Reason, PositionState] = {
    Reason.HEARTBEAT_TIMEOUT: "expired",
    Reason.CANCELLED: "cancelled",
    Reason.FLUSHED: "flushed",
    Reason.SESSION_TIMEOUT: "session_expired",
    Reason.TERMINATED: "session_terminated",
}
_SESSION_STATES: dict[Reason, Literal["expired", "cancelled", "terminated"]] = {
    Reason.SESSION_TIMEOUT: "expired",
    Reason.CANCELLED: "cancelled",
    Reason.TERMINATED: "terminated",
}


async def find_position(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Find a place in line by its id, or how it ended. It does not count as a heartbeat."""
    text = request.parameters["position_id"]
    position_id = parse_position_id(text)
    if position_id is None:
        raise NotFound("There is no such position", position_id=text)
    return json_response(200, _position(await services.operators.find_position(position_id)))


async def find_session(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Find a session by its id, or how it ended. It does not count as activity."""
    text = request.parameters["session_id"]
    position_id = parse_session_id(text)
    if position_id is None:
        raise NotFound("There is no such session", session_id=text)
    return json_response(200, _session(await services.operators.find_session(position_id)))


def _position(person: FoundPerson) -> FoundPositionResponse:
    place = person.found.place
    answer = FoundPositionResponse(
        position_id=id_text(person.position_id),
        queue_id=person.queue_id,
        status="waiting",
        queue_length=person.found.queue_length,
    )
    if isinstance(place, Waiting):
        answer.position = place.position
        answer.priority = person.found.priority
        answer.estimated_wait_seconds = person.estimated_wait_s
        answer.enqueued_at = rfc3339(person.found.enqueued_ms)
        answer.last_seen_at = rfc3339(person.found.last_seen_ms)
    elif isinstance(place, Admitted):
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
    place = person.found.place
    answer = FoundSessionResponse(
        session_id=session_id_text(person.position_id),
        position_id=id_text(person.position_id),
        queue_id=person.queue_id,
        status="active",
    )
    if isinstance(place, Admitted):
        answer.started_at = rfc3339(place.started_ms)
        answer.expires_at = rfc3339(place.expires_ms)
        answer.remaining_seconds = max(0, place.expires_ms - person.found.now_ms) // 1000
        answer.last_activity = rfc3339(place.last_activity_ms)
        answer.page_views = place.page_views
        answer.addresses = place.addresses
    elif isinstance(place, Gone):
        answer.status = _SESSION_STATES[place.reason]
        answer.ended_at = rfc3339(place.ended_ms)
        answer.reason = place.reason.text
    answer.metadata = _metadata(person)
    return answer


def _metadata(person: FoundPerson) -> Metadata | UnsetType:
    encoded = person.found.metadata
    return msgspec.json.decode(encoded, type=Metadata) if encoded else UNSET
