"""The promises, one function each. Pure.

Each is judged so that a server that keeps it is never called false, whatever the network and this machine
did: what cannot be known from outside counts for the server.
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
"""Of a person: what a server may lose or gain by adding up fractions."""
_BLAMED = {
    Loss.TOO_EARLY: "dropped before the timeout was over",
    Loss.TOO_SLOW: "dropped because the server was too slow to take their heartbeats",
    Loss.LIMITED: "dropped because the server refused heartbeats as too many (429)",
}
_IN = (Outcome.WAITING, Outcome.ADMITTED, Outcome.ACTIVE)


class Promise(msgspec.Struct, frozen=True):
    """One promise, and what was seen of it."""

    name: str
    is_kept: bool | None
    """None when nothing was seen that could tell."""
    detail: str


def order(evidence: Evidence) -> Promise:
    """First come, first served inside each priority."""
    name = "First come, first served inside a priority"
    let_in = len(evidence.admitted_ms)
    if let_in < 2:
        return Promise(name, None, "fewer than two were let in")
    count = evidence.inversions
    return Promise(name, count == 0, f"{let_in:,} let in, {count:,} pairs in the wrong order")


def priorities(evidence: Evidence) -> Promise:
    """Higher priority first, each with its share while lower ones wait."""
    share = evidence.facts.priority_share
    name = "Higher priority first" if share >= 1 else f"Higher priority first, {share * 100:g} % at most"
    if evidence.offset is None or len({entrant.priority for entrant in evidence.entrants}) < 2:
        return Promise(name, None, "no two priorities to compare")
    if share >= 1:
        count = measurements.passed_over(evidence.entrants, evidence.offset)
        return Promise(name, count == 0, f"{count:,} let in while somebody of a higher priority waited")
    # Shares are parts of all admissions, and strangers' are not seen here.
    if evidence.seen.waiting_before:
        return Promise(name, None, "other people were in line, and what they got is not known")
    if any(_is_join_in_doubt(answer) for visit in evidence.seen.visits for answer in visit.answers):
        return Promise(name, None, "joins got no proper answer: who was in line is not known")
    fit = measurements.share_fit(evidence.entrants, evidence.offset, share)
    if not fit.judged:
        return Promise(name, None, "no two priorities waited at once")
    off = max(fit.above, fit.below)
    detail = f"{fit.judged:,} let in while several waited, at the most {off:.1f} off; 1 is allowed"
    return Promise(name, off <= 1 + _ROUNDING, detail)


def _is_join_in_doubt(answer: ObservedAnswer) -> bool:
    return answer.asked is RequestKind.JOIN and answer.outcome in (Outcome.UNANSWERED, Outcome.FAILED)


def cap(evidence: Evidence) -> Promise:
    """Never more sessions at once than allowed."""
    most = evidence.facts.max_active_users
    name = f"Never more than {most:,} sessions at once"
    if not evidence.admitted_ms:
        return Promise(name, None, "nobody was let in")
    seen = evidence.most_active
    return Promise(name, seen <= most, f"{seen:,} surely active at once")


def rate(evidence: Evidence) -> Promise:
    """Never faster than the admission rate, one second's burst aside."""
    facts = evidence.facts
    name = f"Never faster than {facts.admission_rate:g}/s, with a burst of {facts.burst:g}"
    if not evidence.admitted_ms:
        return Promise(name, None, "nobody was let in")
    beyond, length_s = measurements.most_beyond(evidence.admitted_ms, facts.admission_rate)
    steady = facts.admission_rate * length_s
    detail = (
        f"at the most {steady + beyond:,.0f} in {length_s:.2f} s; {steady + facts.burst:,.0f} are allowed"
    )
    return Promise(name, beyond <= facts.burst + _ROUNDING, detail)


def faithful(evidence: Evidence) -> Promise:
    """Who keeps beating keeps the place."""
    name = "Who sends heartbeats in time keeps the place"
    blamed = Counter(loss for _, loss in evidence.losses if loss in _BLAMED)
    if blamed:
        return Promise(name, False, "; ".join(f"{count:,} {_BLAMED[loss]}" for loss, count in blamed.items()))
    lost = {id(history) for history, _ in evidence.losses}
    kept = [history for history in evidence.histories if id(history) not in lost]
    if not kept:
        return Promise(name, None, "nobody sent heartbeats in time")
    returned = sum(history.visit.behaviour is Behaviour.RETURNS for history in kept)
    return Promise(name, True, f"{len(kept):,} did, {returned:,} of them meant to fall silent for a while")


def silent(evidence: Evidence) -> Promise:
    """Who stays silent beyond the timeout is dropped."""
    limit_s = evidence.facts.heartbeat_timeout_seconds + MARGIN_S
    name = f"Who is silent for {evidence.facts.heartbeat_timeout_seconds:,} s is dropped"
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
    parts = [f"{dropped:,} were"]
    parts += [f"{kept:,} kept the place"] if kept else []
    parts += [f"{let_in:,} were let in all the same"] if let_in else []
    parts += [f"{forgotten:,} got 404 instead of 410"] if forgotten else []
    if kept or let_in or forgotten:
        return Promise(name, False, ", ".join(parts))
    return Promise(name, True if dropped else None, parts[0] if dropped else "nobody was silent for so long")


def _let_in_too_late(evidence: Evidence, history: VisitorHistory, dropped_by_s: float) -> bool:
    """Whether somebody was surely let in after having to be dropped."""
    if history.entry is None or evidence.offset is None:
        return False
    return history.entry.admitted_ms > dropped_by_s * 1000 + evidence.offset.latest_ms


def once(evidence: Evidence) -> Promise:
    """Nobody gets in twice, no two share a place, and who has left stays out."""
    name = "Nobody gets in twice, and who has left stays out"
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
            f"{twice:,} got in twice, {back:,} were still in after leaving, {shared:,} places shared",
        )
    if not evidence.histories:
        return Promise(name, None, "nobody got in line")
    return Promise(name, True, f"{len(evidence.histories):,} places, {looked:,} looked back after leaving")


def lasting(evidence: Evidence) -> Promise:
    """Sessions last as long as their tokens say."""
    name = "Sessions last as long as their tokens say"
    if evidence.offset is None:
        return Promise(name, None, "nobody was let in")
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
        return Promise(name, None, "nobody was let in")
    if evidence.seen.published_keys is None:
        return Promise(name, None, "the published keys could not be read")
    if _algorithm(sample[0]).startswith("HS"):
        return Promise(name, None, "they are signed with a secret, for which no key is published")
    verify = _verifier(evidence.seen.published_keys)
    false = sum(not verify(token) for token in sample)
    return Promise(name, false == 0, f"{len(sample):,} verified" if not false else f"{false:,} do not")


def _verifier(published: dict[str, object]) -> Callable[[str], bool]:
    """Make what a site in front of which the queue stands would do with a token, its time aside: that may be
    over by now."""
    try:
        keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(published).keys}
    except jwt.PyJWTError:
        # No key that one can use is no key: then nothing verifies.
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
    """No request fails: no 5xx, no silence, no refusal that the contract does not give."""
    name = "No request fails"
    # Too many requests are answered as they should be; whether the limit suits the queue is another question.
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
    """People in line are let in sooner or later."""
    name = "The line moves"
    seen = evidence.seen
    if not seen.stalled_s:
        return Promise(name, True if evidence.admitted_ms else None, f"{len(evidence.admitted_ms):,} let in")
    waiting = sum(history.is_still_waiting for history in evidence.histories)
    detail = f"nothing moved for {seen.stalled_s:.0f} s with {waiting:,} in line"
    if seen.facts_after is not None and seen.facts_after.status != "active":
        return Promise(name, None, f"{detail}, but the queue had been set to {seen.facts_after.status}")
    if seen.active_before >= evidence.facts.max_active_users:
        return Promise(name, None, f"{detail}, but other people had filled the room before")
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
"""These cannot be judged when the settings were changed meanwhile."""
