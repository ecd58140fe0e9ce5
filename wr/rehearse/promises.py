"""Checks each promise of the waiting room against the observations, one function per promise. Pure.

A check never accuses a correct server, whatever the network and this machine did. If something cannot be
known from outside, the check assumes what is better for the server.
"""

from collections import Counter
from collections.abc import Callable

import jwt
import msgspec

from wr.rehearse import measurements
from wr.rehearse.evidence import Evidence
from wr.rehearse.observations import ObservedAnswer, Outcome, RequestKind
from wr.rehearse.plan import MARGIN_S, Behaviour
from wr.rehearse.visitor_history import Loss, VisitorHistory, ended_early

_SESSION_AUDIENCE = "wr:session"
_ROUNDING = 0.01
"""The part of an admission by which a server may be off because it adds fractions."""
_BLAMED = {
    Loss.TOO_EARLY: "dropped before the timeout had passed",
    Loss.TOO_SLOW: "dropped because the server was too slow with their heartbeats",
    Loss.LIMITED: "dropped because the server refused heartbeats as too many (429)",
}
_IN = (Outcome.WAITING, Outcome.ADMITTED, Outcome.ACTIVE)


class Promise(msgspec.Struct, frozen=True):
    """The result of checking one promise."""

    name: str
    is_kept: bool | None
    """None if the observations do not decide it."""
    detail: str


def order(evidence: Evidence) -> Promise:
    """First come, first served within each priority."""
    name = "First come, first served within a priority"
    let_in = len(evidence.admitted_ms)
    if let_in < 2:
        return Promise(name, None, "fewer than two admissions")
    count = evidence.inversions
    return Promise(name, count == 0, f"{let_in:,} admitted, {count:,} pairs in the wrong order")


def priorities(evidence: Evidence) -> Promise:
    """Higher priorities first, each with its share while lower ones wait."""
    share = evidence.facts.priority_share
    name = "Higher priority first" if share >= 1 else f"Higher priority first, {share * 100:g} % at most"
    if evidence.offset is None or len({entrant.priority for entrant in evidence.entrants}) < 2:
        return Promise(name, None, "no two priorities to compare")
    if share >= 1:
        count = measurements.passed_over(evidence.entrants, evidence.offset)
        return Promise(name, count == 0, f"{count:,} admitted while a visitor of a higher priority waited")
    # Shares are parts of all admissions, and the admissions of other visitors are not observed.
    if evidence.seen.waiting_before:
        return Promise(name, None, "other visitors were waiting, and their admissions are not known")
    if any(_is_join_in_doubt(answer) for visit in evidence.seen.visits for answer in visit.answers):
        return Promise(name, None, "some joins got no proper answer, so the waiting visitors are not known")
    fit = measurements.share_fit(evidence.entrants, evidence.offset, share)
    if not fit.judged:
        return Promise(name, None, "no two priorities waited at the same time")
    off = max(fit.above, fit.below)
    detail = f"{fit.judged:,} admitted while several waited, at most {off:.1f} off; 1 is allowed"
    return Promise(name, off <= 1 + _ROUNDING, detail)


def _is_join_in_doubt(answer: ObservedAnswer) -> bool:
    return answer.asked is RequestKind.JOIN and answer.outcome in (Outcome.UNANSWERED, Outcome.FAILED)


def cap(evidence: Evidence) -> Promise:
    """Never more sessions at the same time than allowed."""
    most = evidence.facts.max_active_users
    name = f"Never more than {most:,} sessions at the same time"
    if not evidence.admitted_ms:
        return Promise(name, None, "no visitor was admitted")
    seen = evidence.most_active
    return Promise(name, seen <= most, f"{seen:,} certainly active at the same time")


def rate(evidence: Evidence) -> Promise:
    """Never faster than the admission rate, apart from a burst of one second."""
    facts = evidence.facts
    name = f"Never faster than {facts.admission_rate:g}/s, with a burst of {facts.burst:g}"
    if not evidence.admitted_ms:
        return Promise(name, None, "no visitor was admitted")
    beyond, length_s = measurements.most_beyond(evidence.admitted_ms, facts.admission_rate)
    steady = facts.admission_rate * length_s
    detail = f"at most {steady + beyond:,.0f} in {length_s:.2f} s; {steady + facts.burst:,.0f} are allowed"
    return Promise(name, beyond <= facts.burst + _ROUNDING, detail)


def faithful(evidence: Evidence) -> Promise:
    """A visitor who sends heartbeats in time keeps the place."""
    name = "A visitor who sends heartbeats in time keeps the place"
    blamed = Counter(loss for _, loss in evidence.losses if loss in _BLAMED)
    if blamed:
        return Promise(name, False, "; ".join(f"{count:,} {_BLAMED[loss]}" for loss, count in blamed.items()))
    lost = {id(history) for history, _ in evidence.losses}
    kept = [history for history in evidence.histories if id(history) not in lost]
    if not kept:
        return Promise(name, None, "no visitor sent heartbeats in time")
    returned = sum(history.visit.behaviour is Behaviour.RETURNS for history in kept)
    return Promise(name, True, f"{len(kept):,} did; {returned:,} of them planned a silence")


def silent(evidence: Evidence) -> Promise:
    """A visitor who stays silent beyond the timeout is dropped."""
    limit_s = evidence.facts.heartbeat_timeout_seconds + MARGIN_S
    name = f"A visitor who is silent for {evidence.facts.heartbeat_timeout_seconds:,} s is dropped"
    dropped = kept = forgotten = let_in = 0
    for history in evidence.histories:
        for answer in history.visit.answers:
            if answer.silent_s < limit_s or answer.sent_s > min(history.left_s, history.heard_s):
                continue
            if answer.outcome is Outcome.WAITING:
                kept += 1
            elif answer.outcome is Outcome.UNKNOWN:
                forgotten += 1
            elif answer.outcome is Outcome.EXPIRED:
                dropped += 1
            elif answer.outcome is Outcome.ADMITTED:
                let_in += _let_in_too_late(evidence, history, answer.sent_s - answer.silent_s + limit_s)
    parts = [f"{dropped:,} were dropped"]
    parts += [f"{kept:,} kept the place"] if kept else []
    parts += [f"{let_in:,} were admitted all the same"] if let_in else []
    parts += [f"{forgotten:,} got 404 instead of 410"] if forgotten else []
    if kept or let_in or forgotten:
        return Promise(name, False, ", ".join(parts))
    detail = parts[0] if dropped else "no visitor was silent for that long"
    return Promise(name, True if dropped else None, detail)


def _let_in_too_late(evidence: Evidence, history: VisitorHistory, dropped_by_s: float) -> bool:
    """Whether a visitor was certainly admitted after the time by which the server had to drop it."""
    if history.entry is None or evidence.offset is None:
        return False
    return history.entry.admitted_ms > dropped_by_s * 1000 + evidence.offset.latest_ms


def once(evidence: Evidence) -> Promise:
    """No visitor is admitted twice, no two visitors share a place, and a visitor who left stays out."""
    name = "No visitor is admitted twice, and a visitor who left stays out"
    twice = back = looked = 0
    for history in evidence.histories:
        answers = history.visit.answers
        twice += len({(a.entry.session_id, a.entry.admitted_ms) for a in answers if a.entry is not None}) > 1
        later = [answer for answer in answers if answer.sent_s > history.left_s]
        looked += bool(later)
        back += any(answer.outcome in _IN for answer in later)
    places = Counter(history.visit.position_id for history in evidence.histories)
    sessions = Counter(
        history.entry.session_id for history in evidence.histories if history.entry is not None
    )
    shared = sum(count > 1 for count in (places | sessions).values())
    if twice or back or shared:
        return Promise(
            name,
            False,
            f"{twice:,} admitted twice, {back:,} still in after leaving, {shared:,} places shared",
        )
    if not evidence.histories:
        return Promise(name, None, "no visitor got a place")
    return Promise(name, True, f"{len(evidence.histories):,} places, {looked:,} checked after leaving")


def lasting(evidence: Evidence) -> Promise:
    """Sessions last until the time in their tokens."""
    name = "Sessions last until the time in their tokens"
    if evidence.offset is None:
        return Promise(name, None, "no visitor was admitted")
    latest_ms = evidence.offset.latest_ms
    early = sum(ended_early(history, latest_ms) for history in evidence.histories)
    return Promise(name, early == 0, f"{len(evidence.admitted_ms):,} sessions, {early:,} ended early")


def tokens(evidence: Evidence) -> Promise:
    """Session tokens verify with the published keys, and name their visitor."""
    name = "Session tokens verify with the published keys"
    strangers = sum(
        history.entry.position_id != history.visit.position_id or history.entry.queue_id != evidence.facts.id
        for history in evidence.histories
        if history.entry is not None
    )
    if strangers:
        return Promise(name, False, f"{strangers:,} name another place or queue than their visitor's")
    sample = [visit.session_token for visit in evidence.seen.visits if visit.session_token]
    if not sample:
        return Promise(name, None, "no visitor was admitted")
    if evidence.seen.published_keys is None:
        return Promise(name, None, "the published keys could not be read")
    if _algorithm(sample[0]).startswith("HS"):
        return Promise(name, None, "the tokens are signed with a secret, which is not published")
    verify = _verifier(evidence.seen.published_keys)
    false = sum(not verify(token) for token in sample)
    return Promise(name, false == 0, f"{len(sample):,} verified" if not false else f"{false:,} do not verify")


def _verifier(published: dict[str, object]) -> Callable[[str], bool]:
    """Return a function that verifies a token as the site would, but ignores its expiry."""
    try:
        keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(published).keys}
    except jwt.PyJWTError:
        # Without a usable key no token verifies.
        keys = {}

    def verify(token: str) -> bool:
        try:
            key = keys[jwt.get_unverified_header(token)["kid"]]
            jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm_name],
                audience=_SESSION_AUDIENCE,
                options={"verify_exp": False},
            )
        except (jwt.PyJWTError, KeyError):
            return False
        return True

    return verify


def _algorithm(token: str) -> str:
    try:
        return str(jwt.get_unverified_header(token).get("alg"))
    except jwt.PyJWTError:
        return ""


def served(evidence: Evidence) -> Promise:
    """No request fails: no 5xx, no missing answer, no refusal that the contract does not define."""
    name = "No request fails"
    # 429 is a correct answer to too many requests. Whether the limit suits the queue is another question.
    faults = {fault: count for fault, count in evidence.faults.items() if fault[1] != 429}
    total = f"{evidence.seen.effort.requests:,} requests"
    if not evidence.facts.max_queue_size:
        full = sum(_is_full(answer) for visit in evidence.seen.visits for answer in visit.answers)
        if full:
            faults[Outcome.TURNED_AWAY, 503, "QUEUE_FULL although the queue has no maximum"] = full
    if not faults:
        return Promise(name, True, total)
    worst = sorted(faults.items(), key=lambda item: -item[1])[:3]
    what = ", ".join(
        f"{count:,} × {status or outcome.value} {reason}" for (outcome, status, reason), count in worst
    )
    return Promise(name, False, f"{sum(faults.values()):,} of {total}: {what}")


def _is_full(answer: ObservedAnswer) -> bool:
    return answer.outcome is Outcome.TURNED_AWAY and answer.reason == "QUEUE_FULL"


def moving(evidence: Evidence) -> Promise:
    """Waiting visitors are admitted sooner or later."""
    name = "The queue moves"
    seen = evidence.seen
    if not seen.stalled_s:
        return Promise(
            name, True if evidence.admitted_ms else None, f"{len(evidence.admitted_ms):,} admitted"
        )
    waiting = sum(history.is_still_waiting for history in evidence.histories)
    detail = f"no change for {seen.stalled_s:.0f} s with {waiting:,} waiting"
    if seen.facts_after is not None and seen.facts_after.status != "active":
        return Promise(name, None, f"{detail}, but the queue's status is {seen.facts_after.status}")
    if seen.active_before >= evidence.facts.max_active_users:
        return Promise(name, None, f"{detail}, but other visitors held all sessions before")
    return Promise(name, False, detail)


ALL: tuple[Callable[[Evidence], Promise], ...] = (
    order,
    priorities,
    cap,
    rate,
    faithful,
    silent,
    once,
    lasting,
    tokens,
    served,
    moving,
)
DEPENDS_ON_SETTINGS = (priorities, cap, rate, faithful, silent)
"""Checks that cannot decide anything if the queue's settings changed during the run."""
