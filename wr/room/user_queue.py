"""The second API's use cases: users of a concert, known by their number instead of a token.

It is the same room underneath: concert 1 is the queue `concert-1`, and a user's place in it has an id made of
both numbers' names, so that nothing needs to be stored to find it again.
"""

from enum import StrEnum
from hashlib import blake2b

import msgspec

from wr.model import places
from wr.model.client_address import limited_address
from wr.model.identities import NO_ADDRESS, address_tag, subject_digest
from wr.model.ids import new_position_id
from wr.model.limits import Limit, Usage
from wr.model.priorities import EntryRule
from wr.model.queue import QueueConfig
from wr.model.refusals import Maintenance, NotFound, RateLimited
from wr.room.join_rules import join_refusal
from wr.room.queue_cache import QueueCache, QueueView
from wr.room.signing_keys import SigningKeys
from wr.store.enqueue import IdentityKind, InLine, Join
from wr.store.key_names import GLOBAL_TAG
from wr.store.limit import Counted
from wr.store.poll import Poll, Polled, PollKind
from wr.store.store import Store

NOT_IN_LINE = -1


class UserStatus(StrEnum):
    """What a user of a concert is."""

    WAITING = "WAITING"
    ACTIVE = "ACTIVE"
    REJECTED = "REJECTED"
    """Not let into line: it is as long as it may be."""
    NONE = "NONE"
    """Not in line and not inside."""


class QueueUser(msgspec.Struct, frozen=True):
    """The caller of a request: this API's own clients say nothing but the user's number."""

    address: str
    is_site: bool = False
    """The site itself calls, with its key: bounded by the queue alone."""
    has_user_token: bool = False
    """The caller brings a token of the site's user."""

    @property
    def is_known(self) -> bool:
        """Whether something proves that this is for the user."""
        return self.is_site or self.has_user_token


class Standing(msgspec.Struct, frozen=True):
    """A user's status; rank from 1 in line, 0 inside, −1 otherwise."""

    status: UserStatus
    rank: int
    usage: Usage | None = None


def concert_queue(concert_id: int) -> str:
    """Name the queue of a concert."""
    return f"concert-{concert_id}"


def user_position(queue_id: str, user_id: int) -> bytes:
    """Name the place a user has in a queue, or would have: 16 bytes."""
    named = f"{queue_id}/{user_id}".encode()
    return new_position_id(
        lambda count: blake2b(named, digest_size=count, person=b"wr user").digest(),
        # It says who the user is, and no address.
        NO_ADDRESS,
    )


class UserQueueService:
    """Users' use cases. All raise `Unavailable` while the store is away, `NotFound` for no such concert."""

    def __init__(
        self, store: Store, signing_keys: SigningKeys, queue_cache: QueueCache, limits: dict[str, Limit]
    ) -> None:
        self._store = store
        self._signing_keys = signing_keys
        self._queue_cache = queue_cache
        self._limits = limits

    async def join(self, concert_id: int, user_id: int, caller: QueueUser) -> Standing:
        """Put a user in line, or find the place the user has already; a sign of life either way.

        A caller that proves nothing counts by its address, which holds so many places at most; one with a
        user's token counts as that user, and the site itself is bounded by the queue alone.

        Raises:
            StoreFull, Maintenance: no new place for now.
            RateLimited: this caller asked too often.
            TooManyPlaces, Blocked, PassRequired: no new place for this caller.
        """
        config = (await self.view(concert_id)).config
        position_id = user_position(config.id, user_id)
        joined = await self._store.join(config.id, self._join_of(config, position_id, user_id, caller))
        usage = self._usage("enqueue", joined.used, joined.now_ms)
        place = joined.place
        if isinstance(place, InLine):
            return Standing(UserStatus.WAITING, place.position, usage)
        if isinstance(place, places.Admitted):
            return Standing(UserStatus.ACTIVE, 0, usage)
        if isinstance(place, places.Full):
            return Standing(UserStatus.REJECTED, NOT_IN_LINE, usage)
        if isinstance(place, places.Closed):
            raise Maintenance("The concert's queue is in maintenance", usage=usage, concert_id=concert_id)
        raise join_refusal(place, config.id, usage) or self._not_served(place, concert_id, usage)

    def _join_of(self, config: QueueConfig, position_id: bytes, user_id: int, caller: QueueUser) -> Join:
        limited = limited_address(caller.address)
        subject = limited.encode()
        if caller.is_known:
            subject = b"" if caller.is_site else b"user %d" % user_id
        needs_pass = config.entry is EntryRule.PASS and not caller.is_site
        return Join(
            position_id,
            position_id,
            0,
            subject,
            b"",
            b"",
            kind=IdentityKind.NO_ENTRY if needs_pass else IdentityKind.USER,
            # Looked for among blocks.
            name=subject_digest(user_id),
            address=b""
            if caller.is_site
            else address_tag(config.id, limited, self._signing_keys.address_key),
            is_counted=not caller.is_known,
        )

    async def status(self, concert_id: int, user_id: int, caller: QueueUser) -> Standing:
        """Tell where a user stands. This API has no heartbeat, so asking keeps the place.

        Raises:
            RateLimited: this user, or this address, asked too often.
        """
        polled, usage = await self.look(concert_id, user_id, caller)
        if isinstance(polled.place, places.Waiting):
            return Standing(UserStatus.WAITING, polled.place.position, usage)
        if isinstance(polled.place, places.Admitted):
            return Standing(UserStatus.ACTIVE, 0, usage)
        return Standing(UserStatus.NONE, NOT_IN_LINE, usage)

    async def look(self, concert_id: int, user_id: int, caller: QueueUser) -> tuple[Polled, Usage | None]:
        """Tell what the store says of a user, and keep the place; raises as `status`."""
        queue_id = (await self.view(concert_id)).config.id
        subject = position_id = user_position(queue_id, user_id)
        if not caller.is_known:
            await self._count_caller(caller)
            # Counted apart for each address: strangers that ask for a user keep the user from no answer.
            subject = limited_address(caller.address).encode() + position_id
        polled = await self._store.poll(queue_id, Poll(position_id, PollKind.KEEPING_STATUS, subject))
        usage = self._usage("status", polled.used, polled.now_ms)
        if isinstance(polled.place, places.Limited | places.NoQueue):
            raise self._not_served(polled.place, concert_id, usage)
        return polled, usage

    async def _count_caller(self, caller: QueueUser) -> None:
        subject = limited_address(caller.address).encode()
        usage = await self._store.count(Counted(GLOBAL_TAG, "caller", subject))
        if usage is not None and usage.used > usage.limit.count:
            raise _too_many(usage)

    async def view(self, concert_id: int) -> QueueView:
        """Return the view of a concert's queue.

        Raises:
            NotFound: there is no such concert.
        """
        try:
            return await self._queue_cache.get(concert_queue(concert_id))
        except NotFound as error:
            raise no_such_concert(concert_id) from error

    def _usage(self, scope: str, used: int, now_ms: int) -> Usage | None:
        limit = self._limits[scope]
        return Usage(limit, used, now_ms) if limit.count and used else None

    def _not_served(self, place: object, concert_id: int, usage: Usage | None) -> NotFound | RateLimited:
        if isinstance(place, places.Limited):
            return _too_many(usage)
        self._queue_cache.forget(concert_queue(concert_id))
        return no_such_concert(concert_id)


def _too_many(usage: Usage | None) -> RateLimited:
    retry_after_s = usage.retry_after_s if usage is not None else 1
    return RateLimited("Too Many Requests", usage=usage, retry_after_seconds=retry_after_s)


def no_such_concert(concert_id: int) -> NotFound:
    """The refusal for a concert that has no queue."""
    return NotFound("Concert Not Found", concert_id=concert_id)
