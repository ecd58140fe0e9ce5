"""What all that was seen proves, put together once for every judgement. Pure."""

from collections import Counter
from typing import Any

import msgspec

from wr.rehearse.measurements import Admission, Entrant, Offset, clock_offset, inversions, most_at_once
from wr.rehearse.observations import Observations
from wr.rehearse.plan import QueueFacts
from wr.rehearse.visitor_history import Loss, VisitorHistory, history_of, why_lost

_LAG_S = 0.25
"""What this machine may be late beyond what it noticed."""


class Evidence(msgspec.Struct, frozen=True):
    """What is proved."""

    seen: Observations
    facts: QueueFacts
    is_changed: bool
    """Whether the settings were changed meanwhile, so that none of them held all the time."""
    histories: tuple[VisitorHistory, ...]
    """Of everybody who got in line."""
    offset: Offset | None
    """None when nobody was let in."""
    losses: tuple[tuple[VisitorHistory, Loss], ...]
    entrants: tuple[Entrant, ...]
    """Empty when nobody was let in."""
    inversions: int
    """Pairs of one priority in which the later one was let in first."""
    most_active: int
    """Sessions that surely went on at once."""
    admitted_ms: tuple[int, ...]
    """When people were let in, sorted."""
    faults: Counter[tuple[Any, int, str]]
    """Answers that nobody should get, by outcome, status and reason."""


def gather(seen: Observations, known_offset: Offset | None = None) -> Evidence:
    """Put together what was seen.

    `known_offset` is what the server's clock is ahead of this machine's, where that is known; else it is
    concluded from what was seen.
    """
    facts = seen.plan.facts
    histories = tuple(history for history in map(history_of, seen.visits) if history is not None)
    admissions = [
        Admission(history.entry.admitted_ms, history.waiting_until_s, history.heard_s)
        for history in histories
        if history.entry is not None
    ]
    offset = clock_offset(admissions)
    if offset is not None and known_offset is not None:
        offset = known_offset
    entrants = tuple(_entrant(history, offset) for history in histories) if offset else ()
    lag_s = seen.effort.worst_lag_s + _LAG_S
    reasons = ((history, why_lost(history, facts, lag_s)) for history in histories)
    return Evidence(
        seen=seen,
        facts=facts,
        is_changed=seen.facts_after is not None
        and msgspec.structs.replace(seen.facts_after, status=facts.status) != facts,
        histories=histories,
        offset=offset,
        losses=tuple((history, loss) for history, loss in reasons if loss is not None),
        entrants=entrants,
        inversions=inversions(entrants),
        most_active=most_at_once(_session_span(history, offset) for history in histories if history.entry),
        admitted_ms=tuple(sorted(admission.admitted_ms for admission in admissions)),
        faults=Counter(
            (answer.outcome, answer.status, answer.reason)
            for visit in seen.visits
            for answer in visit.answers
            if answer.outcome.is_fault
        ),
    )


def _entrant(history: VisitorHistory, offset: Offset) -> Entrant:
    entry = history.entry
    waiting_until_ms = history.waiting_until_s * 1000 + offset.earliest_ms
    return Entrant(
        priority=history.visit.priority,
        join_sent_s=history.join_sent_s,
        join_received_s=history.join_received_s,
        not_before_ms=entry.admitted_ms if entry else waiting_until_ms,
        admitted_ms=entry.admitted_ms if entry else None,
        gone_by_ms=_gone_by_s(history) * 1000 + offset.latest_ms,
    )


def _gone_by_s(history: VisitorHistory) -> float:
    """Tell until when somebody may have been let in unseen; infinite where that is not known."""
    if history.lost is None:
        return history.left_s
    # Who was dropped from the line had not been let in.
    return history.waiting_until_s if history.lost.reason == "heartbeat_timeout" else history.lost.received_s


def _session_span(history: VisitorHistory, offset: Offset | None) -> tuple[float, float]:
    """Tell from when to when a session surely went on, on the server's clock in milliseconds."""
    if history.entry is None or offset is None:
        raise AssertionError("only who was let in has a session, and then the offset is known")
    seen_until_ms = history.active_until_s * 1000 + offset.earliest_ms
    return history.entry.admitted_ms, max(history.entry.admitted_ms, seen_until_ms)
