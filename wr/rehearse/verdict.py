"""The judgement of a whole rehearsal: figures, promises, and what one should know beside them. Pure."""

import math
from collections.abc import Iterable

import msgspec

from wr.rehearse import measurements, promises
from wr.rehearse.evidence import Evidence, gather
from wr.rehearse.observations import Observations, Outcome
from wr.rehearse.plan import Behaviour
from wr.rehearse.promises import Promise
from wr.rehearse.visitor_history import Loss

_KEPT_UP_S = 1.0
_TELLING_CONTRADICTION_MS = 1000.0


class RehearsalFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The sale in numbers."""

    joined: int
    admitted: int
    finished: int
    """Used the session and gave it up."""
    left: int
    """Gave the place in line up."""
    expired: int
    """Lost the place by silence."""
    lost: int
    """Lost the place for any other reason."""
    turned_away: int
    unfinished: int
    """Still in line when the rehearsal ended."""
    inversions: int
    most_active: int
    """Sessions surely active at once."""
    admitted_per_s: float
    """From the first admission to the last; nan for fewer than two."""
    busiest_second: int
    """Most people let in within any second."""
    estimate_median_s: float
    """How far off the estimated wait was; nan when nobody could compare."""
    estimate_p90_s: float
    answer_median_s: float
    """How long the server took to answer; nan when it never did."""
    answer_p99_s: float
    joins_per_s: float
    requests: int
    errors: int
    duration_s: float


class Verdict(msgspec.Struct, frozen=True):
    """What came of a rehearsal."""

    figures: RehearsalFigures
    promises: tuple[Promise, ...]
    notes: tuple[str, ...]
    is_interrupted: bool

    @property
    def broken(self) -> tuple[Promise, ...]:
        """The promises that were not kept."""
        return tuple(promise for promise in self.promises if promise.is_kept is False)


def judge(seen: Observations) -> Verdict:
    """Judge a rehearsal by what was seen of it."""
    evidence = gather(seen)
    judged = []
    for promise in promises.ALL:
        judgement = promise(evidence)
        if evidence.is_changed and promise in promises.DEPENDS_ON_SETTINGS:
            judgement = Promise(judgement.name, None, "the settings were changed meanwhile")
        judged.append(judgement)
    return verdict_on(evidence, judged)


def verdict_on(evidence: Evidence, judged: Iterable[Promise]) -> Verdict:
    """Put what was judged together with the figures and notes."""
    notes = tuple(_notes(evidence))
    return Verdict(_figures(evidence), tuple(judged), notes, evidence.seen.is_interrupted)


def _figures(evidence: Evidence) -> RehearsalFigures:
    seen, histories, times_ms = evidence.seen, evidence.histories, evidence.admitted_ms
    span_s = (times_ms[-1] - times_ms[0]) / 1000 if times_ms else 0.0
    errors_s = _estimate_errors_s(evidence)
    answers_s = _answer_times_s(seen)
    joins_s = sorted(history.join_sent_s for history in histories)
    joining_s = joins_s[-1] - joins_s[0] if joins_s else 0.0
    silent = sum(loss is Loss.SILENT for _, loss in evidence.losses)
    return RehearsalFigures(
        joined=len(histories),
        admitted=len(times_ms),
        finished=sum(history.entry is not None and not math.isinf(history.left_s) for history in histories),
        left=sum(history.entry is None and not math.isinf(history.left_s) for history in histories),
        expired=silent,
        lost=len(evidence.losses) - silent,
        turned_away=_turned_away(seen),
        unfinished=sum(history.is_still_waiting for history in histories),
        inversions=evidence.inversions,
        most_active=evidence.most_active,
        admitted_per_s=(len(times_ms) - 1) / span_s if span_s else math.nan,
        busiest_second=measurements.most_within(times_ms, 1000),
        estimate_median_s=measurements.quantile(errors_s, 0.5),
        estimate_p90_s=measurements.quantile(errors_s, 0.9),
        answer_median_s=measurements.quantile(answers_s, 0.5),
        answer_p99_s=measurements.quantile(answers_s, 0.99),
        joins_per_s=(len(joins_s) - 1) / joining_s if joining_s else math.nan,
        requests=seen.effort.requests,
        errors=sum(evidence.faults.values()),
        duration_s=seen.duration_s,
    )


def _answer_times_s(seen: Observations) -> list[float]:
    """List how long each answer took that somebody had asked for, sorted."""
    return sorted(
        answer.received_s - answer.sent_s
        for visit in seen.visits
        for answer in visit.answers
        if answer.told_since_s is None and answer.outcome is not Outcome.UNANSWERED
    )


def _estimate_errors_s(evidence: Evidence) -> list[float]:
    """List how far off every estimated wait was that somebody was told who was then let in, sorted."""
    offset = evidence.offset
    if offset is None:
        return []
    return sorted(
        abs((history.entry.admitted_ms - offset.middle_ms) / 1000 - told.received_s - told.estimated_wait_s)
        for history in evidence.histories
        if history.entry is not None
        for told in history.visit.answers
        if told.outcome is Outcome.WAITING
    )


def _turned_away(seen: Observations) -> int:
    return sum(
        bool(visit.answers) and visit.answers[-1].outcome is Outcome.TURNED_AWAY for visit in seen.visits
    )


def _notes(evidence: Evidence) -> list[str]:
    return [*_notes_on_the_sale(evidence), *_notes_on_losses(evidence), *_notes_on_this_machine(evidence)]


def _notes_on_the_sale(evidence: Evidence) -> list[str]:
    seen, facts = evidence.seen, evidence.facts
    notes = []
    if seen.is_interrupted:
        notes.append("It was interrupted: this is what had been seen by then.")
    if seen.waiting_before or seen.active_before:
        notes.append(
            f"At the start {seen.waiting_before:,} other people were in line and {seen.active_before:,} in "
            "the room. The promises hold with them too; the figures count only this rehearsal's visitors."
        )
    if evidence.is_changed:
        notes.append("The queue's settings were changed meanwhile: what depends on them was not judged.")
    elif seen.facts_after is None:
        notes.append(
            "The queue's settings could not be read at the end: they may have been changed meanwhile."
        )
    turned_away = _turned_away(seen)
    if turned_away:
        notes.append(f"{turned_away:,} were turned away: the queue takes {facts.max_queue_size:,} in line.")
    limited = sum(count for (_, status, _), count in evidence.faults.items() if status == 429)
    if limited:
        notes.append(
            f"{limited:,} requests were refused as too many (429): the server's limits are tighter than what "
            f"visitors do who beat every {facts.heartbeat_interval_seconds} s."
        )
    contradiction_ms = evidence.offset.contradiction_ms if evidence.offset else 0.0
    if contradiction_ms > _TELLING_CONTRADICTION_MS:
        notes.append(
            f"The times in session tokens contradict what visitors saw by {contradiction_ms / 1000:.1f} s: "
            "the server's clock was set meanwhile, or admitted_ms is not true."
        )
    return notes


def _notes_on_losses(evidence: Evidence) -> list[str]:
    notes = []
    late = sum(
        loss is Loss.SILENT and history.visit.behaviour is not Behaviour.VANISHES
        for history, loss in evidence.losses
    )
    if late:
        notes.append(
            f"{late:,} visitors lost their place because their heartbeats left this machine too late; that "
            "is not held against the server."
        )
    for reason, what in (
        (Loss.UNREACHABLE, "lost their place while the server did not answer their heartbeats properly"),
        (Loss.MISSED, "were let in, but the session was over before their next heartbeat told them"),
        (Loss.SENT_AWAY, "were sent away by an operator, says the server"),
    ):
        count = sum(loss is reason for _, loss in evidence.losses)
        if count:
            notes.append(f"{count:,} visitors {what}.")
    return notes


def _notes_on_this_machine(evidence: Evidence) -> list[str]:
    effort = evidence.seen.effort
    notes = []
    if effort.worst_lag_s > _KEPT_UP_S:
        notes.append(f"This machine was so busy that it stood still for up to {effort.worst_lag_s:.1f} s.")
    if effort.latest_join_s > _KEPT_UP_S:
        notes.append(
            "This machine could not keep up with the join rate: visitors came up to "
            f"{effort.latest_join_s:.1f} s later than planned."
        )
    if effort.late_heartbeats:
        notes.append(
            f"This machine could not keep up with the heartbeats: it sent {effort.late_heartbeats:,} of "
            f"{effort.heartbeats:,} more than a second late, at most {effort.latest_heartbeat_s:.1f} s."
        )
    return notes
