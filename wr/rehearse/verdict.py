"""Computes the result of a rehearsal: figures, the checks of all promises, and notes. Pure."""

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
    """The run in numbers."""

    joined: int
    admitted: int
    finished: int
    """Visitors who used the session and then gave it up."""
    left: int
    """Visitors who gave up their place while waiting."""
    expired: int
    """Visitors who lost their place because they sent no heartbeats."""
    lost: int
    """Visitors who lost their place for any other reason."""
    turned_away: int
    unfinished: int
    """Visitors who were still waiting when the run ended."""
    inversions: int
    most_active: int
    """The most sessions that were certainly active at the same time."""
    admitted_per_s: float
    """From the first admission to the last; nan for fewer than two."""
    busiest_second: int
    """The most admissions within any second."""
    estimate_median_s: float
    """Error of the estimated wait, in seconds; nan if no visitor got both an estimate and an admission."""
    estimate_p90_s: float
    answer_median_s: float
    """Response time, in seconds; nan if there was no answer."""
    answer_p99_s: float
    joins_per_s: float
    requests: int
    errors: int
    duration_s: float


class Verdict(msgspec.Struct, frozen=True):
    """The result of a rehearsal."""

    figures: RehearsalFigures
    promises: tuple[Promise, ...]
    notes: tuple[str, ...]
    is_interrupted: bool

    @property
    def broken(self) -> tuple[Promise, ...]:
        """The broken promises."""
        return tuple(promise for promise in self.promises if promise.is_kept is False)


def judge(seen: Observations) -> Verdict:
    """Check all promises against the observations of a run."""
    evidence = gather(seen)
    judged = []
    for promise in promises.ALL:
        judgement = promise(evidence)
        if evidence.is_changed and promise in promises.DEPENDS_ON_SETTINGS:
            judgement = Promise(judgement.name, None, "the queue's settings changed during the run")
        judged.append(judgement)
    return verdict_on(evidence, judged)


def verdict_on(evidence: Evidence, judged: Iterable[Promise]) -> Verdict:
    """Add the figures and notes to the results of the checks."""
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
    """List the response times of all answered requests, sorted. Messages on streams do not count."""
    return sorted(
        answer.received_s - answer.sent_s
        for visit in seen.visits
        for answer in visit.answers
        if answer.told_since_s is None and answer.outcome is not Outcome.UNANSWERED
    )


def _estimate_errors_s(evidence: Evidence) -> list[float]:
    """List the errors of all estimated waits that admitted visitors got, sorted."""
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
        notes.append("The run was interrupted: the result covers what was observed until then.")
    if seen.waiting_before or seen.active_before:
        notes.append(
            f"At the start {seen.waiting_before:,} other visitors waited and {seen.active_before:,} had "
            "sessions. The promises include them; the figures count only the visitors of this rehearsal."
        )
    if evidence.is_changed:
        notes.append("The queue's settings changed during the run: what depends on them was not checked.")
    elif seen.facts_after is None:
        notes.append(
            "The queue's settings could not be read at the end: they may have changed during the run."
        )
    turned_away = _turned_away(seen)
    if turned_away:
        notes.append(f"{turned_away:,} visitors were turned away: at most {facts.max_queue_size:,} can wait.")
    limited = sum(count for (_, status, _), count in evidence.faults.items() if status == 429)
    if limited:
        notes.append(
            f"{limited:,} requests were refused as too many (429): the server's limits are too low for "
            f"visitors who send a heartbeat every {facts.heartbeat_interval_seconds} s."
        )
    contradiction_ms = evidence.offset.contradiction_ms if evidence.offset else 0.0
    if contradiction_ms > _TELLING_CONTRADICTION_MS:
        notes.append(
            f"The times in session tokens differ by {contradiction_ms / 1000:.1f} s from what visitors "
            "observed: the server's clock was set during the run, or admitted_ms is wrong."
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
            f"{late:,} visitors lost their place because this machine sent their heartbeats too late. That "
            "does not count against the server."
        )
    for reason, what in (
        (Loss.UNREACHABLE, "lost their place while the server did not answer their heartbeats properly"),
        (Loss.MISSED, "were admitted, but the session ended before their next heartbeat"),
        (Loss.SENT_AWAY, "were removed by an operator, according to the server"),
    ):
        count = sum(loss is reason for _, loss in evidence.losses)
        if count:
            notes.append(f"{count:,} visitors {what}.")
    return notes


def _notes_on_this_machine(evidence: Evidence) -> list[str]:
    effort = evidence.seen.effort
    notes = []
    if effort.worst_lag_s > _KEPT_UP_S:
        notes.append(f"This machine was so busy that tasks waited for up to {effort.worst_lag_s:.1f} s.")
    if effort.latest_join_s > _KEPT_UP_S:
        notes.append(
            "This machine could not keep up with the join rate: visitors joined up to "
            f"{effort.latest_join_s:.1f} s later than planned."
        )
    if effort.late_heartbeats:
        notes.append(
            f"This machine could not keep up with the heartbeats: it sent {effort.late_heartbeats:,} of "
            f"{effort.heartbeats:,} more than a second late, at most {effort.latest_heartbeat_s:.1f} s."
        )
    return notes
