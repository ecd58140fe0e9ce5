"""Computes from one visitor's answers when the visitor waited, got in, left or lost the place. Pure."""

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
    """Why a visitor lost the place."""

    SILENT = "silent"
    """No heartbeat was sent during the timeout: that was planned, or this machine was late."""
    TOO_EARLY = "too early"
    """Less than the timeout had passed since the last heartbeat that the server confirmed."""
    TOO_SLOW = "too slow"
    """Every heartbeat was sent in time, but the server took so long to answer that the timeout passed."""
    LIMITED = "limited"
    """Heartbeats were sent as often as the server requested, but it refused some as too many."""
    UNREACHABLE = "unreachable"
    """Heartbeats were sent in time and got no proper answer."""
    MISSED = "missed"
    """The visitor was admitted, and the session ended before the visitor learned of it."""
    SENT_AWAY = "sent away"
    """The server says that an operator removed the visitor."""


class VisitorHistory(msgspec.Struct, frozen=True):
    """What the answers prove about one visitor who got a place; times as in `observations`."""

    visit: ObservedVisit
    join_sent_s: float
    """The visitor had no place before this."""
    join_received_s: float
    """The visitor had a place at this time at the latest."""
    waiting_until_s: float
    """Certainly not admitted before this: the last request that was answered «waiting» was sent then."""
    entry: ObservedEntry | None
    heard_s: float
    """The visitor was certainly admitted by this time; infinite if never admitted."""
    active_until_s: float
    """The session was certainly active until this: when its last answered request was sent."""
    left_s: float
    """The visitor had certainly given up the place or session by this time; infinite if never."""
    lost: ObservedAnswer | None
    """The answer that said that the place is gone, if the visitor had neither left nor been admitted."""

    @property
    def is_still_waiting(self) -> bool:
        """Whether the visitor was still waiting when the run ended."""
        return self.entry is None and self.lost is None and math.isinf(self.left_s)


def history_of(visit: ObservedVisit) -> VisitorHistory | None:
    """Return what a visit proves; None if the visitor never got a place."""
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
    """Return why a visitor lost the place; None if the visitor did not lose it.

    `lag_s` is how late this machine may have been at sending or reading.
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
    # A visitor waits before another try: that delay is not this machine's.
    if any(heartbeat.status == 429 for heartbeat in heartbeats):
        return Loss.LIMITED
    if any(heartbeat.outcome.is_fault for heartbeat in heartbeats):
        return Loss.UNREACHABLE
    if any(_sent_late(before, after, facts, lag_s) for before, after in pairwise((*heartbeats, lost))):
        return Loss.SILENT
    return Loss.TOO_SLOW


def own_silence_s(history: VisitorHistory) -> float:
    """Return the seconds between the last answered heartbeat and the next, if the visitor lost the place.

    0 if the visitor sent no other heartbeat, or did not lose the place.
    """
    if history.lost is None:
        return 0.0
    heartbeats = _heartbeats_since_confirmed(history, history.lost)
    return heartbeats[1].sent_s - heartbeats[0].sent_s if len(heartbeats) > 1 else 0.0


def _sent_late(before: ObservedAnswer, after: ObservedAnswer, facts: QueueFacts, lag_s: float) -> bool:
    """Whether the timeout may have passed between two requests without the server's fault.

    A visitor sends the next heartbeat only after the answer to the last one: the server causes that wait.
    """
    due_s = max(before.sent_s + facts.heartbeat_interval_seconds, before.received_s - lag_s)
    is_late = after.sent_s - due_s > _PUNCTUAL_S
    return is_late and after.sent_s - before.sent_s + lag_s >= facts.heartbeat_timeout_seconds


def ended_early(history: VisitorHistory, latest_offset_ms: float) -> bool:
    """Whether the session certainly ended before the expiry in its token, and the visitor did not end it.

    `latest_offset_ms` is the most by which the server's clock may be ahead of this machine's.
    """
    entry = history.entry
    if entry is None:
        return False
    for answer in history.visit.answers:
        is_over = answer.asked in _SESSION_CALLS and answer.outcome.is_gone
        if is_over and answer.reason not in _OPERATORS_DOING and answer.sent_s < history.left_s:
            # The expiry in the token is rounded up to a full second.
            return answer.received_s * 1000 + latest_offset_ms < (entry.expires_s - 1) * 1000
    return False


def _heartbeats_since_confirmed(history: VisitorHistory, lost: ObservedAnswer) -> list[ObservedAnswer]:
    """List the heartbeats from the last confirmed one on. The join counts as the first heartbeat."""
    heartbeats: list[ObservedAnswer] = []
    for answer in history.visit.answers:
        if answer is lost:
            break
        if answer.asked in SIGNS_OF_LIFE:
            # A stream that was cut was open until then, so the server knew that the visitor was there.
            if answer.outcome in (Outcome.WAITING, Outcome.CLOSED):
                heartbeats.clear()
            heartbeats.append(answer)
    return heartbeats
