"""The use cases of the second API: users of a concert join and ask by their number instead of a token.

Concert 1 is the queue `concert-1` of the same waiting room. The id of a user's place in it is computed from
the queue's name and the user's number, so that nothing needs to be stored to find the place again.
"""

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from hashlib import blake2b
from typing import Literal, TypeVar

import msgspec

from wr.model.client_address import limited_address
from wr.model.identities import NO_ADDRESS, address_tag, subject_digest
from wr.model.ids import new_position_id
from wr.model.join_denials import Denial
from wr.model.limits import Limit, Usage
from wr.model.places import Admitted, Place, Unserved, Waiting
from wr.model.priorities import EntryRule
from wr.model.queue_settings import QueueConfig
from wr.model.refusals import Maintenance, NotFound, RateLimited
from wr.room.join_rules import join_refusal
from wr.room.queue_cache import QueueCache, QueueView
from wr.room.signing_keys import SigningKeys
from wr.room.visitors import Standing
from wr.store.enqueue import IdentityKind, Join, Joined
from wr.store.key_names import GLOBAL_TAG
from wr.store.limit import Counted
from wr.store.poll import Poll, Polled, PollKind
from wr.store.store import Store
from wr.store.store_call import Answer, Later, StoreCall, settled

NOT_IN_LINE = -1
T = TypeVar("T")

UserPlace = Place | Literal[Denial.LINE_FULL]
"""Where a user of a concert stands: the line may also have been full."""


class UserStatus(StrEnum):
    """The status of a user of a concert."""

    WAITING = "WAITING"
    ACTIVE = "ACTIVE"
    REJECTED = "REJECTED"
    """Not let into line: it is as long as it may be."""
    NONE = "NONE"
    """Not in line and not inside."""


class QueueUser(msgspec.Struct, frozen=True):
    """The caller of a request: clients of this API send nothing but the user's number."""

    address: str
    is_site: bool = False
    """Whether the site itself calls, with its key. Only the queue's own bounds hold for it."""
    has_user_token: bool = False
    """Whether the caller brings a token of the site's user."""

    @property
    def is_known(self) -> bool:
        """Whether something proves that this is for the user."""
        return self.is_site or self.has_user_token


def status_of(place: UserPlace) -> UserStatus:
    """Name the status of a user that stands there."""
    if isinstance(place, Waiting):
        return UserStatus.WAITING
    if isinstance(place, Admitted):
        return UserStatus.ACTIVE
    return UserStatus.REJECTED if place is Denial.LINE_FULL else UserStatus.NONE


def rank_of(place: UserPlace) -> int:
    """Tell the rank of a user that stands there: from 1 in line, 0 inside, -1 otherwise."""
    if isinstance(place, Waiting):
        return place.position
    return 0 if isinstance(place, Admitted) else NOT_IN_LINE


def concert_queue(concert_id: int) -> str:
    """Name the queue of a concert."""
    return f"concert-{concert_id}"


def user_position(queue_id: str, user_id: int) -> bytes:
    """Compute the id of the place that a user has in a queue, or would have: 16 bytes."""
    named = f"{queue_id}/{user_id}".encode()
    return new_position_id(
        lambda count: blake2b(named, digest_size=count, person=b"wr user").digest(),
        # The id stands for the user, so there is no address in it.
        NO_ADDRESS,
    )


class UserQueueService:
    """Users' use cases. All raise `Unavailable` if the store is away, `NotFound` for no such concert."""

    def __init__(
        self, store: Store, signing_keys: SigningKeys, queue_cache: QueueCache, limits: dict[str, Limit]
    ) -> None:
        self._store = store
        self._signing_keys = signing_keys
        self._queue_cache = queue_cache
        self._limits = limits

    def begin_join(
        self,
        concert_id: int,
        user_id: int,
        caller: QueueUser,
        then: Callable[[Standing[UserPlace]], T],
    ) -> Answer[T]:
        """Put a user in line, or find the place that the user has already, and make an answer of it.

        Both keep the place. A caller that proves nothing counts by its address, which may hold a bounded
        number of places. A caller with a user's token counts as that user. The site itself is bounded by the
        queue alone.

        Raises, when the reply comes:
            StoreFull, Maintenance: no new place for now.
            RateLimited: this caller asked too often.
            TooManyPlaces, Blocked, PassRequired: no new place for this caller.
        """
        view = self._queue_cache.last_seen(concert_queue(concert_id))
        if view is None:
            return Later(partial(self._when_seen, concert_id, self.begin_join, user_id, caller, then))
        config = view.config
        join = self._join_of(config, user_position(config.id, user_id), user_id, caller)
        finish = partial(self._joined, config, concert_id, then)
        return StoreCall(self._store.joins, config.id, join, finish)

    async def _when_seen(
        self, concert_id: int, begin: Callable[..., Answer[T]], *arguments: object
    ) -> Answer[T]:
        """Begin when this server has seen the queue; `begin` is a method of this class."""
        await self.view(concert_id)
        return begin(concert_id, *arguments)

    def _joined(
        self,
        config: QueueConfig,
        concert_id: int,
        then: Callable[[Standing[UserPlace]], T],
        joined: Joined,
    ) -> T:
        usage = self._usage("enqueue", joined.used, joined.now_ms)
        place = joined.place
        if isinstance(place, Waiting | Admitted) or place is Denial.LINE_FULL:
            return then(Standing(place, joined.now_ms, usage))
        if place is Denial.LINE_CLOSED:
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
            # Only blocks are looked up by it.
            name=subject_digest(user_id),
            address=b""
            if caller.is_site
            else address_tag(config.id, limited, self._signing_keys.address_key),
            is_counted=not caller.is_known,
        )

    async def status(self, concert_id: int, user_id: int, caller: QueueUser) -> Standing[Place]:
        """Tell where a user stands; raises as `begin_status`."""
        return await settled(self.begin_status(concert_id, user_id, caller, _same))

    def begin_status(
        self, concert_id: int, user_id: int, caller: QueueUser, then: Callable[[Standing[Place]], T]
    ) -> Answer[T]:
        """Find out where a user stands, and make an answer of it. This API has no heartbeat, so asking keeps
        the place.

        Raises, when the reply comes:
            RateLimited: this user, or this address, asked too often.
        """
        view = self._queue_cache.last_seen(concert_queue(concert_id))
        if view is None:
            return Later(partial(self._when_seen, concert_id, self.begin_status, user_id, caller, then))
        queue_id = view.config.id
        position_id = user_position(queue_id, user_id)
        finish = partial(self._polled, concert_id, then)
        if caller.is_known:
            asked = Poll(position_id, PollKind.KEEPING_STATUS, position_id)
            return StoreCall(self._store.polls, queue_id, asked, finish)
        address = limited_address(caller.address).encode()
        # Counted apart for each address, so that strangers cannot use up the user's own limit.
        asked = Poll(position_id, PollKind.KEEPING_STATUS, address + position_id)
        poll = StoreCall(self._store.polls, queue_id, asked, finish)
        count = self._store.count_call(
            Counted(GLOBAL_TAG, "caller", address), partial(_unless_too_many, poll)
        )
        return poll if count is None else count

    def _polled(self, concert_id: int, then: Callable[[Standing[Place]], T], polled: Polled) -> T:
        usage = self._usage("status", polled.used, polled.now_ms)
        if isinstance(polled.place, Unserved):
            raise self._not_served(polled.place, concert_id, usage)
        return then(Standing(polled.place, polled.now_ms, usage))

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

    def _not_served(self, unserved: object, concert_id: int, usage: Usage | None) -> NotFound | RateLimited:
        if unserved is Unserved.LIMITED:
            return _too_many(usage)
        self._queue_cache.forget(concert_queue(concert_id))
        return no_such_concert(concert_id)


def _same(standing: Standing[Place]) -> Standing[Place]:
    return standing


def _unless_too_many(poll: StoreCall[Poll, Polled, T], usage: Usage) -> Answer[T]:
    """Go on with the poll of a caller, unless its address has asked too often."""
    if usage.used > usage.limit.count:
        raise _too_many(usage)
    return poll


def _too_many(usage: Usage | None) -> RateLimited:
    retry_after_s = usage.retry_after_s if usage is not None else 1
    return RateLimited("Too Many Requests", usage=usage, retry_after_seconds=retry_after_s)


def no_such_concert(concert_id: int) -> NotFound:
    """The refusal for a concert that has no queue."""
    return NotFound("Concert Not Found", concert_id=concert_id)
