"""The operator's part: reading the queue's settings and figures, and the keys that verify session tokens."""

import msgspec
import trio

from wr.admin_client import AdminClient, AdminFailure
from wr.rehearse.client import HttpClient, Unanswered
from wr.rehearse.plan import QueueFacts


class CannotPlay(Exception):
    """The rehearsal cannot be played; the message is one line that says why and what to do about it."""


class Look(msgspec.Struct, frozen=True):
    """A queue's settings, and how many were in line and in the room."""

    facts: QueueFacts
    waiting: int
    active: int


async def look_at(admin: AdminClient, queue_id: str) -> Look:
    """Read a queue's settings and figures.

    Raises:
        CannotPlay: they cannot be read, or there is no such queue.
    """
    try:
        queues = (await trio.to_thread.run_sync(admin.queues, abandon_on_cancel=True)).queues
    except AdminFailure as failure:
        raise CannotPlay(str(failure)) from failure
    for found in queues:
        if found.queue.id == queue_id:
            facts = {name: getattr(found.queue, name) for name in QueueFacts.__struct_fields__}
            return Look(QueueFacts(**facts), found.stats.current_waiting, found.stats.current_active)
    others = ", ".join(found.queue.id for found in queues) or "none yet"
    raise CannotPlay(f"there is no queue '{queue_id}' at {admin.url}; there are: {others}")


def check_playable(facts: QueueFacts) -> None:
    """Refuse a queue that lets nobody in.

    Raises:
        CannotPlay: it is paused or in maintenance.
    """
    if facts.status != "active":
        raise CannotPlay(
            f"queue '{facts.id}' lets nobody in, its status is {facts.status}: "
            f"wr queue update {facts.id} --status active"
        )


async def published_keys(client: HttpClient) -> dict[str, object] | None:
    """Read the key set that verifies session tokens (RFC 7517); None when it cannot be had."""
    try:
        response = await client.send(client.make(b"GET", b"/.well-known/jwks.json"))
        return msgspec.json.decode(response.body, type=dict[str, object])
    except (Unanswered, msgspec.DecodeError):
        return None
