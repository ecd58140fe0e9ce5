"""What one visitor's answers prove, and what they do not. Pure."""

import math
from enum import Enum
from itertools import pairwise

import msgspec

from wr.rehearse.observations import (
    SIGNS_OF_LIFE,
    ObservedAnswer,
    ObservedEntry,
    ObservedVisit,
    Outcome,
    RequestKind,
)
from wr.rehearse.plan import QueueFacts

_PUNCTUAL_S = 0.5
_SESSION_CALLS = (RequestKind.SESSION, RequestKind.ACTIVITY)
_OPERATORS_DOING = ("flushed", "terminated")


class Loss(Enum):
    """Why somebody was not in line any more."""

    SILENT = "silent"
    """No heartbeat left here for as long as the timeout: meant so, or this machine was late."""
    TOO_EARLY = "too early"
    """Less than the timeout after the last heartbeat that the server had confirmed."""
    TOO_SLOW = "too slow"
    """Every heartbeat left in time, but the server took so long over them that the timeout passed."""
    LIMITED = "limited"
    """Heartbeats left as often as the server had said, but it refused some as too many."""
    UNREACHABLE = "unreachable"
    """Heartbeats left in time and got no proper answer."""
    MISSED = "missed"
    """Let in, and the session was over before the visitor heard of it."""
    SENT_AWAY = "sent away"
    """The server says that an operator did it."""


class VisitorHistory(msgspec.Struct, frozen=True):
    """One visitor who got in line; times as in `observations`."""

    visit: ObservedVisit
    join_sent_s: float
    """Not in line before this."""
    join_received_s: float
    """In line by this at the latest."""
    waiting_until_s: float
    """Surely not let in before this: the last request answered «waiting» left then."""
    entry: ObservedEntry | None
    heard_s: float
    """Surely let in by this; infinite for somebody who was not."""
    active_until_s: float
    """The session surely went on until this: the last request that it answered left then."""
    left_s: float
    """Place or session surely given up by this; infinite for somebody who did not."""
    lost: ObservedAnswer | None
    """The answer that said that the place was gone, to somebody who had neither left nor been let in."""

    @property
    def is_still_waiting(self) -> bool:
        """Whether the visit broke off in line."""
        return self.entry is None and self.lost is None and math.isinf(self.left_s)


def history_of(visit: ObservedVisit) -> VisitorHistory | None:
    """Draw from a visit what it proves; None for somebody who never got in line."""
    joins = [answer for answer in visit.answers if answer.asked is RequestKind.JOIN]
    place = next((a for a in joins if a.outcome in (Outcome.WAITING, Outcome.ADMITTED)), None)
    if place is None:
        return None
    waiting_until_s, heard_s, active_until_s, left_s = joins[0].sent_s, math.inf, -math.inf, math.inf
    entry = lost = None
    may_have_left = False
    for answer in visit.answers:
        if answer.asked is RequestKind.LEAVE and answer.outcome.is_fault:
            may_have_left = True
        elif answer.outcome is Outcome.WAITING:
            waiting_until_s = max(waiting_until_s, answer.true_since_s)
        elif answer.outcome is Outcome.LEFT:
            if entry is not None:
                active_until_s = answer.sent_s
            left_s = min(left_s, answer.received_s)
        elif answer.outcome in (Outcome.ADMITTED, Outcome.ACTIVE):
            if math.isinf(left_s):
                active_until_s = answer.sent_s
            if entry is None and answer.entry is not None:
                entry, heard_s = answer.entry, answer.received_s
        elif answer.outcome.is_gone and may_have_left:
            left_s = min(left_s, answer.received_s)
        elif answer.outcome.is_gone and entry is None and math.isinf(left_s):
            lost = lost or answer
    return VisitorHistory(
        visit=visit,
        join_sent_s=joins[0].sent_s,
        join_received_s=place.received_s,
        waiting_until_s=waiting_until_s,
        entry=entry,
        heard_s=heard_s,
        active_until_s=active_until_s,
        left_s=left_s,
        lost=lost,
    )


def why_lost(history: VisitorHistory, facts: QueueFacts, lag_s: float) -> Loss | None:
    """Tell why somebody lost the place; None for somebody who did not.

    `lag_s` is how late this machine may have been in sending or reading anything.
    """
    timeout_s = facts.heartbeat_timeout_seconds
    lost = history.lost
    if lost is None:
        return None
    if (
        lost.reason == "session_timeout"
        and lost.received_s - history.waiting_until_s >= facts.session_timeout_seconds
    ):
        return Loss.MISSED
    if lost.reason in _OPERATORS_DOING:
        return Loss.SENT_AWAY
    heartbeats = _heartbeats_since_confirmed(history, lost)
    was_used = heartbeats[0].asked is not RequestKind.JOIN
    if lost.received_s - heartbeats[0].sent_s < (timeout_s if was_used else facts.unused_timeout_seconds):
        return Loss.TOO_EARLY
    # Whoever had to try again waited before: that is no lateness of this machine.
    if any(heartbeat.status == 429 for heartbeat in heartbeats):
        return Loss.LIMITED
    if any(heartbeat.outcome.is_fault for heartbeat in heartbeats):
        return Loss.UNREACHABLE
    if any(_sent_late(before, after, facts, lag_s) for before, after in pairwise((*heartbeats, lost))):
        return Loss.SILENT
    return Loss.TOO_SLOW


def own_silence_s(history: VisitorHistory) -> float:
    """Seconds between the last answered heartbeat of a visitor that lost the place and its next attempt; 0 if
    there was none."""
    if history.lost is None:
        return 0.0
    heartbeats = _heartbeats_since_confirmed(history, history.lost)
    return heartbeats[1].sent_s - heartbeats[0].sent_s if len(heartbeats) > 1 else 0.0


def _sent_late(before: ObservedAnswer, after: ObservedAnswer, facts: QueueFacts, lag_s: float) -> bool:
    """Whether the timeout may have passed between two requests without the server having caused it.

    A visitor who has no answer yet does not send the next heartbeat: that wait is the server's.
    """
    due_s = max(before.sent_s + facts.heartbeat_interval_seconds, before.received_s - lag_s)
    is_late = after.sent_s - due_s > _PUNCTUAL_S
    return is_late and after.sent_s - before.sent_s + lag_s >= facts.heartbeat_timeout_seconds


def ended_early(history: VisitorHistory, latest_offset_ms: float) -> bool:
    """Whether the session was surely over before the time that its token names, and the visitor had not ended
    it; `latest_offset_ms` is what the server's clock is ahead of this one's at most."""
    entry = history.entry
    if entry is None:
        return False
    for answer in history.visit.answers:
        is_over = answer.asked in _SESSION_CALLS and answer.outcome.is_gone
        if is_over and answer.reason not in _OPERATORS_DOING and answer.sent_s < history.left_s:
            # The token's time is rounded up to the second.
            return answer.received_s * 1000 + latest_offset_ms < (entry.expires_s - 1) * 1000
    return False


def _heartbeats_since_confirmed(history: VisitorHistory, lost: ObservedAnswer) -> list[ObservedAnswer]:
    """List the heartbeats from the last one that was confirmed on, the join standing for the first."""
    heartbeats: list[ObservedAnswer] = []
    for answer in history.visit.answers:
        if answer is lost:
            break
        if answer.asked in SIGNS_OF_LIFE:
            # A stream that was cut had been heard until then: its visitor was there.
            if answer.outcome in (Outcome.WAITING, Outcome.CLOSED):
                heartbeats.clear()
            heartbeats.append(answer)
    return heartbeats
