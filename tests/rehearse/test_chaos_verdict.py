"""The verdict on a sale with faults: what outages excuse is excused, and nothing else is."""

import math
from collections.abc import Callable

import msgspec
import pytest

from tests.rehearse.imagined_room import FACTS, ImaginedRoom, Reply, simulate
from tests.rehearse.test_verdict import (
    FALSE_ROOMS,
    ROOMY,
    KeepsWhoLeft,
    Overcrowded,
    SwapsNeighbours,
    TooFast,
    heartbeat,
    joined,
)
from wr.rehearse import promises as plain
from wr.rehearse.chaos import promises
from wr.rehearse.chaos.faults import FaultKind
from wr.rehearse.chaos.incidents import Death, Incident, RateChange, Record
from wr.rehearse.chaos.promises import Judge
from wr.rehearse.chaos.verdict import judge
from wr.rehearse.evidence import gather
from wr.rehearse.observations import Observations, ObservedAnswer, ObservedEntry, Outcome, RequestKind
from wr.rehearse.plan import MARGIN_S, Behaviour

QUIET = Record(())
TIMEOUT_S = FACTS.heartbeat_timeout_seconds


def incident(
    began_s: float,
    healed_s: float,
    kind: FaultKind = FaultKind.KILL_STORE,
    *,
    forgets: bool = False,
    lost_since_s: float = -math.inf,
) -> Incident:
    since_s = lost_since_s if forgets else math.inf
    return Incident(1, kind, began_s, healed_s, healed_s, lost_since_s=since_s)


def after(*incidents: Incident, **more: object) -> Record:
    return Record(incidents, **more)  # type: ignore[arg-type]


def with_visit(
    *answers: ObservedAnswer,
    behaviour: Behaviour = Behaviour.STAYS,
    number: int = 99,
    seen: Observations | None = None,
) -> Observations:
    """A true sale, and one more visitor that got these answers."""
    seen = seen or simulate(visitors=30, clock_ahead_ms=0.0)
    visit = msgspec.structs.replace(
        seen.visits[0],
        number=number,
        priority=0,
        behaviour=behaviour,
        position_id=f"p-{number}",
        answers=answers,
    )
    return msgspec.structs.replace(seen, visits=(*seen.visits, visit))


def kept(promise: Judge, seen: Observations, record: Record = QUIET) -> bool | None:
    return promise(gather(seen), record).is_kept


ALIKE: dict[Callable[..., object], Judge] = {
    plain.order: promises.order,
    plain.priorities: promises.order,
    plain.cap: promises.cap,
    plain.rate: promises.rate,
    plain.faithful: promises.kept,
    plain.once: promises.once,
    plain.lasting: promises.lasting,
    plain.tokens: promises.tokens,
    plain.served: promises.served,
}
BUSY = after(incident(20.0, 22.0), incident(40.0, 43.0, FaultKind.FREEZE_SERVER))


@pytest.mark.parametrize(
    ("room", "promise"),
    [(room, promise) for room, promise in FALSE_ROOMS if promise in ALIKE],
    ids=lambda value: value.__name__,
)
@pytest.mark.parametrize("record", [QUIET, BUSY], ids=["nothing-happened", "store-and-server-faults"])
def test_a_room_that_breaks_a_promise_is_caught_whatever_faults_happened(
    room: type[ImaginedRoom], promise: Callable[..., object], record: Record
) -> None:
    seen = simulate(room, facts=ROOMY if promise is plain.rate else FACTS, clock_ahead_ms=0.0)
    if promise is plain.served:
        # The one failure of that room is no 503, so no fault excuses it.
        record = after(incident(0.0, 1000.0))
    assert ALIKE[promise](gather(seen), record).is_kept is False


@pytest.mark.parametrize("record", [QUIET, BUSY, after(incident(9.0, 10.0, forgets=True))])
@pytest.mark.parametrize("seed", range(4))
def test_a_true_room_is_never_called_false(record: Record, seed: int) -> None:
    assert judge(simulate(seed=seed, clock_ahead_ms=5.0), record).broken == ()


def test_a_visitor_that_tried_again_and_again_and_was_dropped_is_lost() -> None:
    """In a sale without faults this is told and excused; with faults it is what must not happen."""
    tries = [
        heartbeat(Outcome.UNANSWERED, at_s, at_s + 1, reason="Connection refused")
        for at_s in range(1005, 1023, 2)
    ]
    seen = with_visit(joined(1000.0, 1000.1), *tries, heartbeat(Outcome.EXPIRED, 1024, 1024.1, status=410))
    record = after(incident(1004.0, 1023.0))
    judgement = promises.kept(gather(seen), record)
    assert judgement.is_kept is False
    assert "lost although they kept trying; for example visitor 99 (410" in judgement.detail
    assert kept(promises.served, seen, record)


@pytest.mark.parametrize(
    ("returned_after_s", "is_down", "is_kept"), [(8.0, True, True), (8.0, False, False), (3.0, True, False)]
)
def test_a_visitor_that_returns_late_from_its_own_silence_while_something_is_down_may_be_too_late(
    returned_after_s: float, is_down: bool, is_kept: bool
) -> None:
    tries = [
        heartbeat(Outcome.UNANSWERED, 1000.1 + at_s, 1000.1 + at_s + 1, reason="Connection refused")
        for at_s in (returned_after_s, returned_after_s + 2)
    ]
    gone = heartbeat(Outcome.EXPIRED, 1018, 1018.1, status=410)
    seen = with_visit(joined(1000.0, 1000.1), heartbeat(Outcome.WAITING, 1000.1, 1000.2), *tries, gone)
    record = after(incident(1002.0, 1017.0, FaultKind.KILL_SERVER)) if is_down else QUIET
    judgement = promises.kept(gather(seen), record)
    assert judgement.is_kept is is_kept
    assert ("1 more returned too late" in judgement.detail) is is_kept


def test_a_place_that_is_unknown_after_the_store_forgot_is_lost() -> None:
    seen = with_visit(joined(1000.0, 1000.1), heartbeat(Outcome.UNKNOWN, 1005, 1005.1, status=404))
    assert kept(promises.kept, seen, after(incident(1002.0, 1003.0, forgets=True))) is False


def test_a_visitor_whose_own_silence_was_too_long_is_not_lost() -> None:
    seen = with_visit(joined(1000.0, 1000.1), heartbeat(Outcome.EXPIRED, 1020, 1020.1, status=410))
    assert kept(promises.kept, seen)


def test_a_visitor_on_a_stream_that_was_cut_and_then_had_no_place_is_lost() -> None:
    """Long after its last message, yet the stream was open until just now."""
    told = ObservedAnswer(RequestKind.STREAM, Outcome.WAITING, 1001.0, 1001.1)
    cut = ObservedAnswer(RequestKind.STREAM, Outcome.CLOSED, 1019.5, 1020.0)
    gone = ObservedAnswer(RequestKind.STREAM, Outcome.EXPIRED, 1021.0, 1021.1, status=410)
    assert kept(promises.kept, with_visit(joined(1000.0, 1000.1), told, cut, gone)) is False
    assert kept(promises.kept, with_visit(joined(1000.0, 1000.1), told, gone))


def test_a_visitor_that_is_in_line_for_ever_is_lost() -> None:
    seen = with_visit(joined(1000.0, 1000.1), heartbeat(Outcome.WAITING, 1005.0, 1005.1))
    assert kept(promises.kept, seen) is False
    assert kept(promises.kept, msgspec.structs.replace(seen, is_interrupted=True))
    stalled = msgspec.structs.replace(seen, stalled_s=60.0)
    assert kept(promises.moving, stalled) is False


def test_who_was_not_back_after_the_store_forgot_may_be_overtaken_and_nobody_else() -> None:
    first_waits = [heartbeat(Outcome.WAITING, at_s, at_s + 0.1) for at_s in (1005.0, 1009.0)]
    second = (
        joined(1002.0, 1002.1),
        heartbeat(Outcome.WAITING, 1011.4, 1011.45),
        heartbeat(
            Outcome.ADMITTED, 1011.55, 1011.6, entry=ObservedEntry("s-98", "p-98", "demo", 1_011_500, 1_100)
        ),
    )
    forgot = after(incident(1010.0, 1010.5, forgets=True))

    def seen(back_s: float) -> Observations:
        back = heartbeat(Outcome.WAITING, back_s, back_s + 0.05)
        own = ObservedEntry("s-99", "p-99", "demo", 1_020_000, 1_100)
        let_in = heartbeat(Outcome.ADMITTED, 1020.1, 1020.2, entry=own)
        first = with_visit(joined(1000.0, 1000.1), *first_waits, back, let_in)
        return with_visit(*second, number=98, seen=first)

    late = promises.order(gather(seen(back_s=1013.0)), forgot)
    assert late.is_kept, late
    assert "1 more are excused because the store lost data" in late.detail
    assert kept(promises.order, seen(back_s=1011.0), forgot) is False, "the first was back in time"
    assert kept(promises.order, seen(back_s=1013.0), after(incident(1010.0, 1010.5))) is False


def test_an_admission_that_the_store_forgot_is_repeated_later_if_the_server_that_knew_of_it_ended() -> None:
    own = ObservedEntry("s-99", "p-99", "demo", 1_020_000, 1_100)
    first = with_visit(
        joined(1000.0, 1000.1),
        heartbeat(Outcome.WAITING, 1009.0, 1009.1),
        heartbeat(Outcome.WAITING, 1012.0, 1012.1),
        heartbeat(Outcome.ADMITTED, 1020.1, 1020.2, entry=own),
    )
    other = ObservedEntry("s-98", "p-98", "demo", 1_009_500, 1_100)
    second = (joined(1002.0, 1002.1), heartbeat(Outcome.ADMITTED, 1009.6, 1009.7, entry=other))
    seen = with_visit(*second, number=98, seen=first)
    forgot = incident(1010.0, 1010.5, FaultKind.REWIND_STORE, forgets=True, lost_since_s=1009.2)
    ended = incident(1009.3, 1011.0, FaultKind.STOP_SERVER)
    assert kept(promises.order, seen, after(forgot, ended))
    assert kept(promises.order, seen, after(forgot)) is False, "a server that runs knows whom it let in"
    earlier = msgspec.structs.replace(forgot, lost_since_s=1009.8)
    assert kept(promises.order, seen, after(earlier, ended)) is False, "what happened before was kept"


def test_a_store_that_forgets_does_not_excuse_a_wrong_order_before() -> None:
    seen = simulate(SwapsNeighbours, clock_ahead_ms=0.0)
    assert kept(promises.order, seen, after(incident(seen.duration_s + 500, 1000.0, forgets=True))) is False


def session(number: int, admitted_s: float, *active_s: float, left_s: float) -> tuple[ObservedAnswer, ...]:
    entry = ObservedEntry(f"s-{number}", f"p-{number}", "demo", int(admitted_s * 1000), int(admitted_s) + 100)
    return (
        joined(admitted_s - 1, admitted_s - 0.9),
        heartbeat(Outcome.WAITING, admitted_s - 0.02, admitted_s - 0.01),
        heartbeat(Outcome.ADMITTED, admitted_s + 0.01, admitted_s + 0.02, entry=entry),
        *(ObservedAnswer(RequestKind.ACTIVITY, Outcome.ACTIVE, at_s, at_s + 0.1) for at_s in active_s),
        ObservedAnswer(RequestKind.LEAVE, Outcome.LEFT, left_s, left_s + 0.1),
    )


@pytest.mark.parametrize(("back_s", "is_kept"), [(1015.0, True), (1007.0, False)])
def test_sessions_count_against_the_room_as_soon_as_a_forgetful_store_could_know_of_them(
    back_s: float, is_kept: bool
) -> None:
    seen = simulate(visitors=5, clock_ahead_ms=0.0)
    most = FACTS.max_active_users
    for number in range(most):
        seen = with_visit(
            *session(100 + number, 1000.0 + number / 100, back_s, left_s=1030.0),
            number=100 + number,
            seen=seen,
        )
    seen = with_visit(*session(300, 1010.0, left_s=1025.0), number=300, seen=seen)
    assert kept(promises.cap, seen, after(incident(1004.0, 1005.0, forgets=True))) is is_kept
    assert kept(promises.cap, seen, after(incident(1004.0, 1005.0))) is False, "nothing was forgotten"
    # What is older than the snapshot is not forgotten.
    kind, since_s = FaultKind.REWIND_STORE, 1003.0
    rewound = after(incident(1004.0, 1005.0, kind, forgets=True, lost_since_s=since_s))
    assert kept(promises.cap, seen, rewound) is False


def test_too_many_at_once_is_caught_long_after_the_store_forgot() -> None:
    assert kept(promises.cap, simulate(Overcrowded), after(incident(0.0, 0.1, forgets=True))) is False


def test_a_rate_that_was_raised_allows_more_from_then_on_and_not_before() -> None:
    seen = simulate(TooFast, facts=ROOMY, clock_ahead_ms=0.0)
    raised = FACTS.admission_rate * 1.6

    def changed(at_s: float, rate: float = raised, *, is_sure: bool = True) -> Record:
        return after(rate_changes=(RateChange(at_s, at_s + 0.1, rate, is_sure),))

    assert kept(promises.rate, seen) is False
    assert kept(promises.rate, seen, changed(-10.0))
    assert kept(promises.rate, seen, changed(-10.0, is_sure=False)), "it may have been made"
    assert kept(promises.rate, seen, changed(500.0)) is False
    true = simulate(facts=ROOMY, clock_ahead_ms=0.0)
    assert kept(promises.rate, true, changed(-10.0, FACTS.admission_rate / 2)) is False
    assert kept(promises.rate, true, changed(-10.0, FACTS.admission_rate / 2, is_sure=False))
    assert kept(promises.rate, true)


@pytest.mark.parametrize(
    ("status", "at_s", "is_kept"),
    [
        (503, 1010.0, True),
        (503, 1013.5, True),
        (503, 1005.0, False),
        (503, 1020.0, False),
        (500, 1010.0, False),
        (401, 1010.0, False),
        (429, 1010.0, False),
    ],
)
def test_requests_may_fail_with_503_while_something_is_down_and_not_otherwise(
    status: int, at_s: float, is_kept: bool
) -> None:
    outcome = Outcome.FAILED if status >= 500 else Outcome.REFUSED
    failed = heartbeat(outcome, at_s, at_s + 0.1, status=status)
    done = ObservedAnswer(RequestKind.LEAVE, Outcome.LEFT, 1020.0, 1020.1)
    seen = with_visit(joined(1000.0, 1000.1), failed, done, behaviour=Behaviour.LEAVES)
    assert kept(promises.served, seen, after(incident(1009.0, 1012.5))) is is_kept


def test_a_change_of_the_rate_is_no_outage() -> None:
    unanswered = heartbeat(Outcome.UNANSWERED, 1010.0, 1010.1)
    seen = with_visit(joined(1000.0, 1000.1), unanswered)
    change = incident(1009.0, 1012.5, FaultKind.CHANGE_RATE)
    assert kept(promises.served, seen, after(change)) is False


@pytest.mark.parametrize(
    ("record", "is_kept"),
    [
        (QUIET, False),
        (after(incident(1010.0, 1012.0)), True),
        (after(incident(1010.0, 1012.0, FaultKind.CHANGE_RATE)), False),
        (after(incident(990.0, 991.0)), False),
    ],
    ids=["nothing-happened", "an-outage", "a-change-of-the-rate", "an-outage-long-before"],
)
def test_who_is_silent_is_dropped_one_timeout_after_an_outage_at_the_latest(
    record: Record, is_kept: bool
) -> None:
    def seen(looks_s: float) -> Observations:
        look = ObservedAnswer(
            RequestKind.STATUS, Outcome.WAITING, looks_s, looks_s + 0.1, silent_s=looks_s - 1000.0
        )
        return with_visit(joined(999.9, 1000.0), look, behaviour=Behaviour.VANISHES)

    assert (kept(promises.silent, seen(1000.0 + TIMEOUT_S + MARGIN_S + 1), record) is not False) is is_kept
    assert kept(promises.silent, seen(1012.0 + TIMEOUT_S + MARGIN_S + 1), record) is False


def test_who_left_may_reappear_for_a_while_when_the_store_forgot_it_and_not_for_ever() -> None:
    class Reappearing(KeepsWhoLeft):
        def answer(self, asked: RequestKind, name: str, priority: int, time_s: float) -> Reply:
            return super().answer(asked, name, priority, time_s)

    seen = simulate(Reappearing, visitors=600, clock_ahead_ms=0.0)
    assert kept(promises.once, seen) is False
    assert kept(promises.once, seen, BUSY) is False

    def left_and_looked(looks_s: float) -> Observations:
        left = ObservedAnswer(RequestKind.LEAVE, Outcome.LEFT, 1001.0, 1001.1)
        look = ObservedAnswer(RequestKind.STATUS, Outcome.WAITING, looks_s, looks_s + 0.1)
        return with_visit(joined(1000.0, 1000.1), left, look, behaviour=Behaviour.LEAVES)

    forgot = after(incident(1001.5, 1002.0, forgets=True))
    assert kept(promises.once, left_and_looked(1003.0), forgot)
    assert kept(promises.once, left_and_looked(1100.0), forgot) is False


def test_a_second_session_is_never_excused() -> None:
    twice = [
        heartbeat(
            Outcome.ADMITTED,
            at_s,
            at_s + 0.1,
            entry=ObservedEntry("s-99", "p-99", "demo", int(at_s * 1000), 1_100),
        )
        for at_s in (1005.0, 1009.0)
    ]
    seen = with_visit(joined(1000.0, 1000.1), *twice)
    assert kept(promises.once, seen, after(incident(1006.0, 1007.0, forgets=True))) is False


def test_a_server_that_does_not_recover_or_ends_by_itself_breaks_a_promise() -> None:
    seen = simulate(visitors=5)
    assert kept(promises.healed, seen, after(incident(5.0, math.inf))) is False
    assert kept(promises.healed, seen, after(incident(5.0, 6.0)))
    assert kept(promises.lives, seen, after(deaths=(Death("server 1", 5.0, 1),))) is False
    assert kept(promises.lives, seen)


def test_a_visitor_told_to_wait_after_it_was_let_in_makes_the_clock_no_less_sure() -> None:
    seen = simulate(SwapsNeighbours, clock_ahead_ms=0.0)
    told_late = (
        joined(1000.0, 1000.1),
        heartbeat(Outcome.WAITING, 1900.0, 1900.1),
        heartbeat(
            Outcome.ADMITTED, 1901.0, 1901.1, entry=ObservedEntry("s-99", "p-99", "demo", 1_002_000, 2_000)
        ),
    )
    sale = with_visit(*told_late, seen=seen)
    known = judge(sale, after(clock_ahead_ms=0.0))
    assert not any("differ by" in note for note in known.notes)
    assert any("differ by" in note for note in judge(sale, QUIET).notes)
    assert any(promise.name.startswith("First come") for promise in known.broken)
