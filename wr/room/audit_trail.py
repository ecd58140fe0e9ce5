"""Writing the audit trail: each change by an operator is recorded, or the loss of its entry is logged."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import msgspec
import structlog
import trio

from wr.model.audit import Action, Actor, AuditEntry, Change, Fact
from wr.model.refusals import Unavailable
from wr.store.store import Store

log = structlog.get_logger("wr.audit")

_PATIENCE_S = 5.0


class Draft:
    """An entry that is being prepared. It is written only if the change was made."""

    def __init__(self) -> None:
        self.is_made = False
        self.changes: dict[str, Change] = {}
        self.facts: dict[str, Fact] = {}
        self.at_ms = 0

    def made(
        self,
        *,
        changes: Mapping[str, Change] | None = None,
        facts: Mapping[str, Fact] | None = None,
        at_ms: int = 0,
    ) -> None:
        """Note that the change was made, and what it was.

        `at_ms` is when it was made by the store's clock, in milliseconds since 1970. If it is 0, the store is
        asked, in a round trip of its own.
        """
        self.is_made = True
        self.at_ms = at_ms
        self.changes = dict(changes or {})
        self.facts = dict(facts or {})


class AuditTrail:
    """Records which operator changed what.

    The entry is written after the change. A change that was made is answered as a success even if its entry
    is lost, because after an error the operator would make it again. A lost entry is logged as an error, with
    all its fields.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @asynccontextmanager
    async def recording(
        self, actor: Actor, action: Action, queue_id: str | None = None
    ) -> AsyncIterator[Draft]:
        """Record the change that the block makes, if the block says that it was made."""
        draft = Draft()
        try:
            yield draft
        except (Unavailable, trio.Cancelled):
            # The change may have been sent, and the store may carry it out although its caller has gone.
            _lost("a change was cut short, and may have been made", _entry(draft, actor, action, queue_id, 0))
            raise
        if draft.is_made:
            await self._write(draft, actor, action, queue_id)

    async def _write(self, draft: Draft, actor: Actor, action: Action, queue_id: str | None) -> None:
        entry = _entry(draft, actor, action, queue_id, draft.at_ms)
        # The change was made, so its entry is written even if the client has gone.
        with trio.move_on_after(_PATIENCE_S, shield=True):
            try:
                if not entry.at_ms:
                    entry = msgspec.structs.replace(entry, at_ms=await self._store.clock_ms())
                await self._store.audit.append(entry)
            except Exception as error:  # noqa: BLE001 - for any failure, the change was made and its entry was not
                _lost(
                    "a change was made, and could not be written down", entry, str(error.__cause__ or error)
                )
            return
        _lost("a change was made, and could not be written down", entry, "the store took too long")


def _entry(draft: Draft, actor: Actor, action: Action, queue_id: str | None, at_ms: int) -> AuditEntry:
    return AuditEntry(
        at_ms=at_ms,
        operator=actor.operator,
        address=actor.address,
        action=action,
        queue_id=queue_id,
        changes=draft.changes,
        facts=draft.facts,
    )


def _lost(event: str, entry: AuditEntry, reason: str = "") -> None:
    log.error(event, entry=msgspec.to_builtins(entry), reason=reason)
