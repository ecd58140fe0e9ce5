"""Computes from all observations what they prove, once for all checks. Pure."""

from collections import Counter
from typing import Any

import msgspec

from wr.rehearse.measurements import Admission, Entrant, Offset, clock_offset, inversions, most_at_once
from wr.rehearse.observations import Observations
from wr.rehearse.plan import QueueFacts
from wr.rehearse.visitor_history import Loss, VisitorHistory, history_of, why_lost

_LAG_S = 0.25
"""Seconds by which this machine may be late without having measured it."""


class Evidence(msgspec.Struct, frozen=True):
    """What the observations of a run prove."""

    seen: Observations
    facts: QueueFacts
    is_changed: bool
    """Whether the queue's settings changed during the run, so that no check can rely on them."""
    histories: tuple[VisitorHistory, ...]
    """One for each visitor who got a place."""
    offset: Offset | None
    """None if no visitor was admitted."""
    losses: tuple[tuple[VisitorHistory, Loss], ...]
    entrants: tuple[Entrant, ...]
    """Empty if no visitor was admitted."""
    inversions: int
    """Pairs of visitors with the same priority of which the later one was admitted first."""
    most_active: int
    """The most sessions that were certainly active at the same time."""
    admitted_ms: tuple[int, ...]
    """The times of all admissions, sorted."""
    faults: Counter[tuple[Any, int, str]]
    """Answers that no visitor should get, counted by outcome, status and reason."""


def gather(seen: Observations, known_offset: Offset | None = None) -> Evidence:
    """Compute what the observations prove.

    `known_offset` is how far the server's clock is ahead of this machine's, if that is known. Otherwise it is
    computed from the observations.
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
    """Return until when the visitor may have been admitted unnoticed; infinite if that is unknown."""
    if history.lost is None:
        return history.left_s
    # A visitor who was dropped from the queue was not admitted before.
    return history.waiting_until_s if history.lost.reason == "heartbeat_timeout" else history.lost.received_s


def _session_span(history: VisitorHistory, offset: Offset | None) -> tuple[float, float]:
    """Return from when to when a session was certainly active, on the server's clock in milliseconds."""
    if history.entry is None or offset is None:
        raise AssertionError("a session needs an admission, and an admission makes the offset known")
    seen_until_ms = history.active_until_s * 1000 + offset.earliest_ms
    return history.entry.admitted_ms, max(history.entry.admitted_ms, seen_until_ms)
