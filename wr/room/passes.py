"""Passes for operators: issuing them for sites that do not sign their own, and revoking them."""

from collections.abc import Callable

import msgspec

from wr.model.audit import Action, Actor
from wr.model.identities import pass_digest
from wr.model.passes import BadPass, Pass, unverified_pass
from wr.model.places import Reason
from wr.room.audit_trail import AuditTrail
from wr.room.blocks import BlockService, BlockTerms
from wr.room.join_rules import pass_invalid
from wr.room.queue_cache import QueueCache, no_such_queue
from wr.room.signing_keys import LONGEST_PASS_S, SigningKeys
from wr.room.visitors import Tell
from wr.store.leave import Departure
from wr.store.store import Store

MOST_AT_ONCE = 1_000
"""How many passes one call issues: 25 ms of signing."""


class IssuedPass(msgspec.Struct, frozen=True):
    """A pass, and the signed token of it."""

    made: Pass
    token: str


class PassTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What passes to issue."""

    subject: str
    """The visitor that holds the pass. If there are several passes, each gets a number behind this. If it is
    empty, each pass gets a random name."""
    priority: int
    uses: int
    expires_in_s: int
    count: int
    first_number: int = 0
    """The number behind the first subject. With 0, numbers begin at 1, and a single subject has none."""


class RevokedPass(msgspec.Struct, frozen=True):
    """A pass that was revoked, and what that did."""

    pass_id: str
    uses: int
    """How many places it had given."""
    has_ended_place: bool
    """Whether a place or session of it was ended."""


class PassService:
    """Operators' use cases around passes. All raise `Unavailable` if the store is away.

    Changes take the actor, and are recorded in the audit trail once they are made.
    """

    def __init__(
        self,
        store: Store,
        signing_keys: SigningKeys,
        queue_cache: QueueCache,
        blocks: BlockService,
        tell: Tell,
        *,
        clock_ms: Callable[[], int],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._signing_keys = signing_keys
        self._queue_cache = queue_cache
        self._blocks = blocks
        self._tell = tell
        self._clock_ms = clock_ms
        self._random_bytes = random_bytes
        self._audit = AuditTrail(store)

    async def issue(self, actor: Actor, queue_id: str, wish: PassTerms) -> list[IssuedPass]:
        """Sign passes of this waiting room. The store knows nothing of a pass until it is used.

        Raises:
            NotFound: there is no such queue.
        """
        await self._queue_cache.reload(queue_id)
        expires_s = self._clock_ms() // 1000 + wish.expires_in_s
        first_number = max(1, wish.first_number)
        async with self._audit.recording(actor, Action.PASSES_ISSUED, queue_id) as draft:
            made = [
                Pass(
                    pass_id=self._random_bytes(12).hex(),
                    subject=self._subject(wish, number),
                    queue_id=queue_id,
                    priority=wish.priority,
                    uses=wish.uses,
                    expires_s=expires_s,
                )
                for number in range(first_number, first_number + wish.count)
            ]
            tokens = self._signing_keys.sign_passes(made)
            draft.made(
                facts={
                    "count": wish.count,
                    "priority": wish.priority,
                    "subject": wish.subject,
                    "uses": wish.uses,
                    "seconds": wish.expires_in_s,
                }
            )
        return [IssuedPass(each, token) for each, token in zip(made, tokens, strict=True)]

    async def revoke(
        self, actor: Actor, queue_id: str, *, token: str, pass_id: str, reason: str, block: BlockTerms
    ) -> RevokedPass:
        """Revoke a pass, given as a token or by its id.

        The pass gives no more places, and the last place or session of it is ended. `block` says whether to
        block the holder of that place, and for how long.

        Raises:
            NotFound: there is no such queue.
            PassInvalid: `token` is not a pass, or is for another queue.
        """
        until_s = self._clock_ms() // 1000 + LONGEST_PASS_S
        if token:
            try:
                said = unverified_pass(token, queue_id)
            except BadPass as error:
                raise pass_invalid(error.reason) from error
            pass_id, until_s = said.pass_id, max(until_s, said.expires_s)
        async with self._audit.recording(actor, Action.PASS_REVOKED, queue_id) as draft:
            revoked = await self._store.revoke_pass(queue_id, pass_digest(pass_id), until_s * 1000)
            if revoked is None:
                raise no_such_queue(queue_id)
            has_ended = False
            if revoked.position_id:
                await self._blocks.block_holder(
                    actor,
                    queue_id,
                    revoked.position_id,
                    block,
                    of=f"pass {pass_id}",
                    reason=reason,
                    is_session=False,
                )
                has_ended = await self._end_place(queue_id, revoked.position_id)
            draft.made(facts={"pass_id": pass_id, "reason": reason, "places_ended": int(has_ended)})
        return RevokedPass(pass_id, revoked.uses, has_ended)

    async def _end_place(self, queue_id: str, position_id: bytes) -> bool:
        """End the session that a place became, or the place itself if it still waits."""
        ways = ((Reason.TERMINATED, True), (Reason.FLUSHED, False))
        for reason, session_only in ways:
            departed = await self._store.depart(
                queue_id,
                Departure(position_id=position_id, reason=reason, session_only=session_only, subject=b""),
            )
            if departed.ended_now:
                self._tell(queue_id, [position_id])
                return True
        return False

    def _subject(self, wish: PassTerms, number: int) -> str:
        if not wish.subject:
            return f"guest-{self._random_bytes(6).hex()}"
        is_single = wish.count == 1 and not wish.first_number
        return wish.subject if is_single else f"{wish.subject}-{number}"
