"""What the store answered, as notes for the event book: the same for both APIs and for operators."""

from wr.events.book import EventBook
from wr.model import places
from wr.model.events import Kind
from wr.store.departures import Departed
from wr.store.joins import InLine, Joined


def note_join(events: EventBook, queue_id: str, joined: Joined, place: InLine) -> None:
    """Take a note of somebody who is new in line."""
    if place.is_new:
        facts = {"position": place.position, "priority": place.priority}
        events.note(Kind.POSITION_ENQUEUED, queue_id, joined.now_ms, (joined.position_id,), facts)


def note_departure(events: EventBook, queue_id: str, position_id: bytes, departed: Departed) -> None:
    """Take a note of what a departure ended, if it ended anything."""
    state = departed.state
    if isinstance(state, places.Gone) and (departed.ended_now or departed.took_session):
        kind = Kind.SESSION_ENDED if departed.took_session else Kind.POSITION_CANCELLED
        events.note(kind, queue_id, state.ended_ms, (position_id,), {"reason": state.reason.text})
