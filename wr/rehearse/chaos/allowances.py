"""Measures of a run with faults: pairs in the wrong order, and sessions at the same time. Pure.

After the store lost data, it knows a visitor again only from that visitor's next request on.
"""

import math
from collections.abc import Iterable, Sequence

import msgspec

from wr.rehearse.chaos.incidents import Incident, Record
from wr.rehearse.evidence import Evidence
from wr.rehearse.measurements import Entrant, Offset
from wr.rehearse.observations import Outcome
from wr.rehearse.visitor_history import VisitorHistory

_KNOWN = (Outcome.WAITING, Outcome.ADMITTED)
_IN_ROOM = (Outcome.ADMITTED, Outcome.ACTIVE)


class WrongOrder(msgspec.Struct, frozen=True):
    """Pairs of visitors that were admitted in the wrong order."""

    broken: int
    excused: int
    """Pairs in the wrong order that the loss of data in the store explains."""
    example: str
    """One broken pair, for the report; empty if there is none."""


def count_wrong_order(evidence: Evidence, record: Record) -> WrongOrder:
    """Count pairs of visitors of which the second was admitted first.

    Within a priority, A is ahead of B if A received the answer to the join before B sent its join. A of a
    higher priority is ahead of B if A was certainly waiting when B was admitted. Compares all pairs: O(n²).

    A pair is excused if the first was not back in the queue after the store lost data. It is also excused if
    the second was admitted within the time of which the store lost the data, and a server ended then: that
    server may have admitted the first, and the admission is lost (README, «What is lost in the worst case»).
    """
    offset = evidence.offset
    if offset is None:
        return WrongOrder(0, 0, "")
    line = sorted(
        zip(evidence.entrants, evidence.histories, strict=True), key=lambda each: each[0].join_received_s
    )
    let_in = [(entrant, history) for entrant, history in line if entrant.admitted_ms is not None]
    forgotten_admissions = [
        (incident.lost_since_s * 1000 + offset.earliest_ms, incident.began_s * 1000 + offset.latest_ms)
        for incident in record.forgetting
        if record.server_ended(incident.lost_since_s, incident.healed_s)
    ]
    broken = excused = 0
    example = ""
    for first, first_history in line:
        behind = [
            (second, history) for second, history in let_in if _was_let_in_before(second, first, offset)
        ]
        if not behind:
            continue
        away = [_away_ms(first_history, incident, offset) for incident in record.forgetting]
        away += forgotten_admissions
        for second, history in behind:
            at_ms = second.admitted_ms or 0
            if any(from_ms <= at_ms <= until_ms for from_ms, until_ms in away):
                excused += 1
                continue
            broken += 1
            example = example or (
                f"for example visitor {history.visit.number} before {first_history.visit.number}, "
                f"by {(first.not_before_ms - at_ms) / 1000:.1f} s"
            )
    return WrongOrder(broken, excused, example)


def _was_let_in_before(second: Entrant, first: Entrant, offset: Offset) -> bool:
    """Whether `second` was admitted before `first`, although `first` was ahead of it."""
    at_ms = second.admitted_ms
    if at_ms is None or first.not_before_ms <= at_ms or first.priority < second.priority:
        return False
    if first.priority == second.priority:
        return first.join_received_s < second.join_sent_s
    return first.join_received_s * 1000 + offset.latest_ms < at_ms


def _away_ms(history: VisitorHistory, incident: Incident, offset: Offset) -> tuple[float, float]:
    """Return from when to when a store that lost data may not have known a visitor, on the server's clock."""
    back_s = min(
        (
            answer.received_s
            for answer in history.visit.answers
            if answer.outcome in _KNOWN and answer.sent_s >= min(incident.undone_s, incident.healed_s)
        ),
        default=math.inf,
    )
    return incident.began_s * 1000 + offset.earliest_ms, back_s * 1000 + offset.latest_ms


def most_known_at_once(
    histories: Iterable[VisitorHistory], offset: Offset, forgetting: Sequence[Incident]
) -> int:
    """Count the most sessions, at any admission, that were certainly active and known to the store.

    If the store lost no data, this is the most sessions at the same time: that number is always reached at an
    admission.
    """
    events: list[tuple[float, int]] = []
    admissions: list[float] = []
    for history in histories:
        if history.entry is None:
            continue
        admissions.append(history.entry.admitted_ms)
        for from_ms, until_ms in _known_ms(history, offset, forgetting):
            # At the same time, ends are sorted before admissions: a session that ended made room.
            events += ((from_ms, 1), (until_ms, -1))
    events.sort()
    most = active = at = 0
    for admitted_ms in sorted(admissions):
        while at < len(events) and events[at][0] <= admitted_ms:
            active += events[at][1]
            at += 1
        most = max(most, active)
    return most


def _known_ms(
    history: VisitorHistory, offset: Offset, forgetting: Sequence[Incident]
) -> list[tuple[float, float]]:
    """List the spans in which a session was certainly active and certainly known to the store."""
    if history.entry is None:
        return []
    until_ms = history.active_until_s * 1000 + offset.earliest_ms
    proofs = sorted(
        (answer.sent_s, answer.received_s)
        for answer in history.visit.answers
        if answer.sent_s <= history.active_until_s and answer.outcome in (*_IN_ROOM, Outcome.LEFT)
    )
    spans = []
    from_ms = float(history.entry.admitted_ms)
    for incident in sorted(forgetting, key=lambda each: each.began_s):
        lost_ms = incident.lost_since_s * 1000 + offset.earliest_ms
        began_ms = incident.began_s * 1000 + offset.earliest_ms
        undone_ms = incident.undone_s * 1000 + offset.latest_ms
        if undone_ms <= from_ms or from_ms < lost_ms:
            continue
        spans.append((from_ms, min(until_ms, began_ms)))
        back_s = min((received for sent, received in proofs if sent >= incident.undone_s), default=math.inf)
        from_ms = back_s * 1000 + offset.latest_ms
        if math.isinf(from_ms):
            break
    spans.append((from_ms, until_ms))
    return [(start, end) for start, end in spans if start <= end]
