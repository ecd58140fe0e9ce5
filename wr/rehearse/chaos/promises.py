"""Checks the promises in a run with faults, with the exceptions that the README allows for each fault. Pure.

The exceptions: requests may fail during a fault. Silent visitors may keep their places until one whole
heartbeat timeout after an outage. After the store lost data, visitors who are back may be admitted before
visitors who are not; dropped or cancelled places may reappear for one timeout; and a session counts against
the maximum only when its visitor is back. Everything else is checked as without faults.
"""

import math
from collections import Counter
from collections.abc import Callable

import msgspec

from wr.rehearse import promises
from wr.rehearse.chaos.allowances import WrongOrder, count_wrong_order, most_known_at_once
from wr.rehearse.chaos.incidents import HEALS_WITHIN_S, RATE_HOLDS_S, Rates, Record
from wr.rehearse.evidence import Evidence
from wr.rehearse.observations import ObservedAnswer, Outcome
from wr.rehearse.plan import MARGIN_S, Behaviour
from wr.rehearse.promises import Promise
from wr.rehearse.visitor_history import Loss, VisitorHistory, own_silence_s

Judge = Callable[[Evidence, Record], Promise]

_SLACK_S = 1.5
"""Seconds after all servers are healthy again within which a request from before may still fail."""

_ROUNDING = 0.01
_EXCUSED = (Loss.SILENT, Loss.SENT_AWAY)
_WHY = {
    Loss.TOO_EARLY: "lost before the timeout had passed",
    Loss.TOO_SLOW: "lost although heartbeats were sent in time",
    Loss.LIMITED: "lost because heartbeats were refused as too many (429)",
    Loss.UNREACHABLE: "lost although they kept trying",
    Loss.MISSED: "admitted, but the session ended before they could learn of it",
}


def order(evidence: Evidence, record: Record) -> Promise:
    """First come, first served within a priority, and higher priorities first."""
    name = "First come, first served, higher priority first"
    if len(evidence.admitted_ms) < 2 or evidence.offset is None:
        return Promise(name, None, "fewer than two admissions")
    found: WrongOrder = count_wrong_order(evidence, record)
    detail = f"{len(evidence.admitted_ms):,} admitted, {found.broken:,} pairs in the wrong order"
    if found.excused:
        detail += f"; {found.excused:,} more are excused because the store lost data"
    if found.example:
        detail += f"; {found.example}"
    return Promise(name, found.broken == 0, detail)


def cap(evidence: Evidence, record: Record) -> Promise:
    """Never more sessions at the same time than allowed."""
    most = evidence.facts.max_active_users
    name = f"Never more than {most:,} sessions at the same time"
    if not evidence.admitted_ms or evidence.offset is None:
        return Promise(name, None, "no visitor was admitted")
    seen = most_known_at_once(evidence.histories, evidence.offset, record.forgetting)
    detail = f"{seen:,} certainly active at an admission"
    if evidence.most_active > seen:
        detail += f"; {evidence.most_active:,} with those that the store had lost and did not know again yet"
    return Promise(name, seen <= most, detail)


def rate(evidence: Evidence, record: Record) -> Promise:
    """Never faster than the admission rate at that time, apart from a burst of one second."""
    facts = evidence.facts
    if not evidence.admitted_ms or evidence.offset is None:
        return Promise("Never faster than the admission rate", None, "no visitor was admitted")
    offset = evidence.offset
    rates = Rates(
        facts.admission_rate, record.rate_changes, offset.earliest_ms, offset.latest_ms, RATE_HOLDS_S
    )
    burst = max(rates.fastest, 1.0)
    changes = len({(change.sent_s, change.rate) for change in record.rate_changes})
    name = f"Never faster than {facts.admission_rate:g}/s"
    name += f", or its {changes:,} changed values" if changes else f", with a burst of {burst:g}"
    beyond = rates.most_beyond(evidence.admitted_ms)
    return Promise(
        name, beyond <= burst + _ROUNDING, f"at most {beyond:.1f} above the rate; {burst:g} are allowed"
    )


def kept(evidence: Evidence, record: Record) -> Promise:
    """A visitor who got a place, and sends heartbeats whenever possible, is admitted in the end."""
    name = "No visitor with a place is lost"
    late = [
        history for history, loss in evidence.losses if _returned_too_late(history, loss, evidence, record)
    ]
    lost = [
        (history, loss) for history, loss in evidence.losses if loss not in _EXCUSED and history not in late
    ]
    missing = [history for history in evidence.histories if history.is_still_waiting]
    is_cut_off = evidence.seen.is_interrupted
    if lost or (missing and not is_cut_off):
        parts = [f"{count:,} {_WHY[loss]}" for loss, count in Counter(loss for _, loss in lost).items()]
        parts += [f"{len(missing):,} still waiting when the queue no longer moved"] if missing else []
        parts += [_example(lost[0][0], record)] if lost else []
        return Promise(name, False, "; ".join(parts))
    ended = [
        history
        for history in evidence.histories
        if history.entry is not None or not math.isinf(history.left_s)
    ]
    if not ended:
        return Promise(name, None, "no visitor got a place")
    returned = sum(history.visit.behaviour is Behaviour.RETURNS for history in ended)
    detail = f"{len(ended):,} admitted or left, {returned:,} of them after a planned silence"
    if late:
        detail += f"; {len(late):,} more returned too late, during a fault"
    return Promise(name, True, detail)


def _returned_too_late(history: VisitorHistory, loss: Loss, evidence: Evidence, record: Record) -> bool:
    """Whether a visitor planned to send nothing for half of the timeout or longer, and then met a fault.

    The fault is an outage that is too short to extend the timeout, or a server that was down.
    """
    if loss is not Loss.UNREACHABLE or history.lost is None:
        return False
    is_late = own_silence_s(history) >= evidence.facts.heartbeat_timeout_seconds / 2
    return is_late and record.during(history.lost.sent_s - MARGIN_S, history.lost.received_s, _SLACK_S)


def _example(history: VisitorHistory, record: Record) -> str:
    """Describe when a visitor lost the place, and after which fault."""
    if history.lost is None:
        raise AssertionError("the visitor did not lose the place")
    at_s = history.lost.received_s
    before = [incident for incident in record.incidents if incident.began_s <= at_s]
    after = f", {at_s - before[-1].began_s:.1f} s after fault {before[-1].number} began" if before else ""
    status = history.lost.status or "the stream"
    return (
        f"for example visitor {history.visit.number} ({status}: {history.lost.reason or 'no reason'}{after})"
    )


def silent(evidence: Evidence, record: Record) -> Promise:
    """A visitor who stays silent is dropped; outages delay that."""
    timeout_s = evidence.facts.heartbeat_timeout_seconds
    name = f"A visitor who is silent for {timeout_s:,} s is dropped, apart from outages"
    dropped = wrong = unsure = 0
    for history in evidence.histories:
        for answer in history.visit.answers:
            is_late = answer.silent_s >= timeout_s + MARGIN_S
            if not is_late or answer.sent_s > min(history.left_s, history.heard_s) or answer.outcome.is_fault:
                continue
            limit_s = record.dropped_by_s(answer.sent_s - answer.silent_s, timeout_s, MARGIN_S)
            if answer.outcome is Outcome.EXPIRED:
                dropped += 1
            elif answer.sent_s <= limit_s or answer.outcome in (Outcome.ADMITTED, Outcome.UNKNOWN):
                # The visitor was admitted before the drop, or was dropped and the store lost that.
                unsure += 1
            elif answer.outcome is Outcome.WAITING:
                wrong += 1
    detail = f"{dropped:,} were dropped, {unsure:,} are within what outages allow"
    if wrong:
        return Promise(name, False, f"{wrong:,} kept the place for too long, {detail}")
    return Promise(name, True if dropped else None, detail)


def once(evidence: Evidence, record: Record) -> Promise:
    """No visitor is admitted twice, no two visitors share a place, and a visitor who left stays out."""
    name = "No visitor is admitted twice, and a visitor who left stays out"
    strict = promises.once(evidence)
    if strict.is_kept is not False or not record.forgetting:
        return Promise(name, strict.is_kept, strict.detail)
    timeout_s = evidence.facts.heartbeat_timeout_seconds
    back = 0
    histories = []
    for history in evidence.histories:
        answers = history.visit.answers
        reappeared = [
            answer
            for answer in answers
            if answer.sent_s > history.left_s
            and answer.outcome in (Outcome.WAITING, Outcome.ADMITTED, Outcome.ACTIVE)
            and any(
                incident.began_s <= answer.sent_s <= incident.healed_s + 2 * timeout_s + MARGIN_S
                and incident.lost_since_s <= history.left_s
                for incident in record.forgetting
            )
        ]
        back += bool(reappeared)
        histories.append(_without(history, reappeared))
    judged = promises.once(_with_histories(evidence, tuple(histories)))
    detail = f"{judged.detail}; {back:,} reappeared after the store lost that they had left"
    return Promise(name, judged.is_kept, detail)


def _without(history: VisitorHistory, answers: list[ObservedAnswer]) -> VisitorHistory:
    if not answers:
        return history
    kept_answers = tuple(answer for answer in history.visit.answers if answer not in answers)
    return msgspec.structs.replace(
        history, visit=msgspec.structs.replace(history.visit, answers=kept_answers)
    )


def _with_histories(evidence: Evidence, histories: tuple[VisitorHistory, ...]) -> Evidence:
    return msgspec.structs.replace(evidence, histories=histories)


def served(evidence: Evidence, record: Record) -> Promise:
    """Requests fail only during a fault, and only in the right way: with 503, or without an answer."""
    name = "Requests fail only during a fault"
    lag_s = evidence.seen.effort.worst_lag_s
    wrong: Counter[str] = Counter()
    allowed = 0
    for visit in evidence.seen.visits:
        for answer in visit.answers:
            if not answer.outcome.is_fault:
                continue
            is_outage = answer.outcome is Outcome.UNANSWERED or answer.status == 503
            if is_outage and record.during(answer.sent_s, answer.received_s, _SLACK_S + lag_s):
                allowed += 1
            else:
                when = "" if is_outage else "never allowed: "
                what = f"{when}{answer.status or answer.outcome.value} {answer.reason}".strip()
                wrong[f"{what} ({answer.asked.value})"] += 1
    total = f"{evidence.seen.effort.requests:,} requests, {allowed:,} failed during a fault"
    if not wrong:
        return Promise(name, True, total)
    worst = ", ".join(f"{count:,} × {what}" for what, count in wrong.most_common(3))
    return Promise(name, False, f"{sum(wrong.values()):,} more failed: {worst}; {total}")


def healed(evidence: Evidence, record: Record) -> Promise:
    """Every server is healthy again after a fault, without help."""
    del evidence
    name = f"Every server is healthy within {HEALS_WITHIN_S:g} s after the end of a fault"
    if not record.incidents:
        return Promise(name, None, "there was no fault")
    late = [incident for incident in record.incidents if math.isinf(incident.healed_s)]
    took_s = [each.healed_s - each.undone_s for each in record.incidents if not math.isinf(each.healed_s)]
    if late:
        return Promise(name, False, f"not after {', '.join(f'fault {each.number}' for each in late[:5])}")
    return Promise(name, True, f"{len(took_s):,} faults, at most {max(took_s):.1f} s")


def lives(evidence: Evidence, record: Record) -> Promise:
    """No process ends without a fault."""
    del evidence
    name = "No server ends without a fault"
    if record.deaths:
        first = record.deaths[0]
        detail = f"{len(record.deaths):,} times, first {first.name} with exit code {first.exit_code}"
        return Promise(name, False, detail)
    return Promise(name, True, "none did")


def _alike(promise: Callable[[Evidence], Promise]) -> Judge:
    def judge(evidence: Evidence, record: Record) -> Promise:
        del record
        return promise(evidence)

    judge.__name__ = promise.__name__
    return judge


lasting = _alike(promises.lasting)
tokens = _alike(promises.tokens)
moving = _alike(promises.moving)

ALL: tuple[Judge, ...] = (
    order,
    cap,
    rate,
    kept,
    silent,
    once,
    lasting,
    tokens,
    served,
    healed,
    lives,
    moving,
)
