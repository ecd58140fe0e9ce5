"""Putting back places and sessions that the store has forgotten, as their tokens are shown."""

from collections.abc import Sequence

from wr.model.refusals import Unavailable
from wr.model.tokens import PositionClaims, SessionClaims
from wr.store.acknowledged import Acknowledging
from wr.store.key_names import KeyNames
from wr.store.restore import RestoreScript
from wr.store.script_calls import ScriptCalls


class Restorations:
    """Runs `restore.lua` for verified tokens.

    All methods raise `Unavailable` if the store is away, or if this server has been without it for so long
    that it may not notice what the store has forgotten.
    """

    def __init__(self, calls: ScriptCalls, keys: KeyNames, acknowledged: Acknowledging) -> None:
        self._calls = calls
        self._keys = keys
        self._acknowledged = acknowledged
        self._restore = RestoreScript(keys)
        self._batcher = calls.batcher(self._restore.script.name, self._restore_now)

    def remember_with(self, acknowledged: Acknowledging, longest_hold_s: float) -> None:
        """Compare the store with what `acknowledged` knows; see `AdmissionPasses.remember_with`."""
        self._acknowledged = acknowledged
        self._restore = RestoreScript(self._keys, longest_hold_s)

    async def restore(self, queue_id: str, claims: PositionClaims | SessionClaims) -> bool:
        """Put back the place or session of a token, together with other callers.

        Returns whether it is there now.
        """
        is_there = await self._batcher.submit(queue_id, claims)
        if not is_there:
            self._check(queue_id)
        return is_there

    async def restore_many(
        self, queue_id: str, claims: Sequence[PositionClaims | SessionClaims]
    ) -> Sequence[bool]:
        """Put back the places and sessions of these tokens of one queue. One round trip."""
        are_there = await self._restore_now(queue_id, claims)
        if not all(are_there):
            self._check(queue_id)
        return are_there

    def _check(self, queue_id: str) -> None:
        if self._acknowledged.may_be_outdated(queue_id):
            raise Unavailable("The waiting room has lost sight of its store for a while")

    async def _restore_now(
        self, queue_id: str, claims: Sequence[PositionClaims | SessionClaims]
    ) -> Sequence[bool]:
        known = self._acknowledged.known(queue_id)
        self._calls.note_batch(self._restore.script.name, len(claims))
        call = self._restore.call(queue_id, self._calls.now_ms(), known, claims)
        return self._restore.replies(await self._calls.connection.call(self._restore.script, *call))
