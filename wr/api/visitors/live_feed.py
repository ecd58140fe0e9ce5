"""The live feed of a visitor in a queue (contract: WebSocket API; the same as server-sent events)."""

import msgspec
import trio
from msgspec import UNSET

from wr.api.authenticated_request import AuthenticatedRequest
from wr.api.http_messages import WEBSOCKET
from wr.api.live_feed import Event, Feed, Goodbye, goodbye, open_feed
from wr.api.services import Services
from wr.api.visitors.live_messages import (
    AdmittedEvent,
    AdmittedEventData,
    ExpiredEvent,
    ExpiredEventData,
    PositionUpdateEvent,
    PositionUpdateEventData,
    TokenEvent,
    TokenEventData,
)
from wr.api.visitors.operations import held_status
from wr.live.registry import Others
from wr.live.stream import Stream, StreamKind
from wr.live.updates import AdmittedUpdate, EndedUpdate, PositionUpdate, TokenDue, Update
from wr.model.ids import session_id_text
from wr.model.limits import Usage
from wr.model.places import Waiting
from wr.model.times import rfc3339
from wr.model.tokens import PositionProof
from wr.store.poll import PollKind

_RETRY_MS = 3_000
"""How long a browser waits before it opens an event stream again."""


class QueueFeed:
    """The first API's feed: `position_update`, `admitted`, `expired` (contract: WebSocket Endpoint).

    It also sends `token`: a new position token when half the lifetime of the last one is over.
    """

    __slots__ = (
        *("_gives_tokens", "_opening", "_proof", "_services", "_timeout_s"),
        *("headers", "stream", "usage"),
    )

    def __init__(
        self, services: Services, proof: PositionProof, stream: Stream, *, gives_tokens: bool
    ) -> None:
        self._services = services
        self._gives_tokens = gives_tokens
        # The stream may last long, and the claims are enough. So the token is not kept, to save memory.
        self._proof = PositionProof(proof.claims, "")
        self._opening: list[Event] = []
        self._timeout_s = 0
        """The heartbeat timeout that was sent last."""
        self.stream = stream
        self.headers: list[tuple[str, str]] = []
        self.usage: Usage | None = None

    async def begin(self) -> None:
        """Read the visitor's place, and count it as a heartbeat. Raises the same errors as a status call."""
        held = await self._services.visitors.poll(self._proof, PollKind.KEEPING_STATUS)
        self.usage = held.usage
        config = held.view.config
        if isinstance(held.place, Waiting):
            update = PositionUpdate(
                held.place.position,
                held.queue_length,
                held.estimated_wait_s,
                config.status,
                config.heartbeat_timeout_seconds,
                held.view.is_recovering,
            )
            self.stream.told(update)
            self._opening = [self._position_event(update)]
            if self._gives_tokens and held.proof.token:
                self._opening.append(self._token_event())
            elif self._gives_tokens:
                self._plan_renewal()
        else:
            self._opening = [
                _admitted_event(held.proof.claims.position_id, held.session_token, config.target_url)
            ]

    def opening(self) -> list[Event]:
        """Return the position, with a new token if it is due, or the admission."""
        opening, self._opening = self._opening, []
        return opening

    async def spell(self, update: Update) -> Event | Goodbye | None:
        """Turn an update into an event. An admission takes time, because it needs a signature."""
        if isinstance(update, PositionUpdate):
            return self._position_event(update)
        if isinstance(update, TokenDue):
            return self._token_event()
        if isinstance(update, AdmittedUpdate):
            position_id = self._proof.claims.position_id
            token = await self._services.visitors.session_token(position_id, update.config.id, update.place)
            return _admitted_event(position_id, token, update.config.target_url)
        if isinstance(update, EndedUpdate):
            event = ExpiredEvent(data=ExpiredEventData(reason=update.reason))
            return Event(event.type, msgspec.json.encode(event), is_last=True)
        return goodbye(update)

    def _token_event(self) -> Event:
        fresh = self._services.visitors.renewed(self._proof.claims)
        token, claims = fresh.token, fresh.claims
        self._proof = PositionProof(claims, "")
        self._plan_renewal()
        event = TokenEvent(data=TokenEventData(token=token, expires_at=rfc3339(claims.expires_s * 1000)))
        return Event(event.type, msgspec.json.encode(event))

    def _plan_renewal(self) -> None:
        due_in_s = (self._proof.claims.half_over_ms - self._services.clock_ms()) / 1000
        self.stream.token_due = trio.current_time() + due_in_s

    def _position_event(self, update: PositionUpdate) -> Event:
        event = PositionUpdateEvent(
            data=PositionUpdateEventData(
                position=update.position,
                queue_length=update.queue_length,
                estimated_wait_seconds=update.estimated_wait_s,
                queue_status=held_status(update.queue_status),
                recovering=update.is_recovering or UNSET,
            )
        )
        if update.heartbeat_timeout_s != self._timeout_s:
            self._timeout_s = event.data.heartbeat_timeout_seconds = update.heartbeat_timeout_s
        return Event(event.type, msgspec.json.encode(event))

    async def heartbeat(self) -> None:
        """Keep the place, as a heartbeat call does, with the same rate limit."""
        self.stream.is_alive = True
        await self._services.visitors.poll(self._proof, PollKind.HEARTBEAT)

    def close(self) -> None:
        """Unregister the stream."""
        self._services.registry.remove(self.stream)

    def as_server_sent(self, event: Event | None, number: int) -> bytes:
        """Return an event with its name, number and whole message. A keep-alive is a comment."""
        if event is None:
            return b": still here\n\n"
        retry = b"retry: %d\n" % _RETRY_MS if number == 1 else b""
        return b"%sevent: %s\nid: %d\ndata: %s\n\n" % (retry, event.name.encode(), number, event.data)


async def queue_feed(services: Services, request: AuthenticatedRequest[None]) -> Feed:
    """Follow a position: updates, and at last the admission or the end of the place."""
    claims = request.proven_position.claims
    kind = StreamKind.WEBSOCKET if request.http.method == WEBSOCKET else StreamKind.EVENTS
    stream = Stream(
        claims.queue_id,
        claims.position_id,
        kind=kind,
        priority=claims.priority,
        address=request.caller.address,
        claims=claims,
    )
    feed = QueueFeed(
        services, request.proven_position, stream, gives_tokens=not request.caller.keeps_token_in_cookie
    )
    return await open_feed(services, feed, Others.KEPT)


def _admitted_event(position_id: bytes, session_token: str, redirect_url: str) -> Event:
    data = AdmittedEventData(
        session_id=session_id_text(position_id), session_token=session_token, redirect_url=redirect_url
    )
    event = AdmittedEvent(data=data)
    return Event(event.type, msgspec.json.encode(event), is_last=True)
