"""The verdict: a true room is never called false, and a false one is caught at the promise that it breaks."""

from collections.abc import Callable
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rehearse.imagined_room import FACTS, Habits, ImaginedRoom, Reply, simulate
from wr.rehearse import promises
from wr.rehearse.evidence import Evidence, gather
from wr.rehearse.observations import Observations, ObservedAnswer, ObservedEntry, Outcome, RequestKind
from wr.rehearse.plan import Behaviour, QueueFacts
from wr.rehearse.promises import Promise
from wr.rehearse.verdict import Verdict, judge

Judge = Callable[[Evidence], Promise]


class LastComeFirstServed(ImaginedRoom):
    def line(self) -> list[str]:
        return super().line()[::-1]


class SwapsNeighbours(ImaginedRoom):
    """Gets only a few people wrong, and those by little."""

    def line(self) -> list[str]:
        line = super().line()
        for index in range(0, len(line) - 30, 30):
            line[index], line[index + 25] = line[index + 25], line[index]
        return line


class BlindToPriority(ImaginedRoom):
    def line(self) -> list[str]:
        return sorted(self.waiting, key=lambda name: self.waiting[name][1])


class GivesNoShare(ImaginedRoom):
    """Lets lower priorities wait until all others are in."""

    def share(self) -> float:
        return 1.0


class GivesLowerOnesTooMuch(ImaginedRoom):
    def share(self) -> float:
        return 0.4


class StarvesOne(ImaginedRoom):
    """Never lets in one of the first, who keeps waiting."""

    def line(self) -> list[str]:
        return [name for name in super().line() if name != "p-5"]


class Overcrowded(ImaginedRoom):
    def space(self) -> int:
        return super().space() + 5


class TooFast(ImaginedRoom):
    def rate(self) -> float:
        return super().rate() * 1.5


class TwiceTheBurst(ImaginedRoom):
    """Keeps the rate, but lets in twice as many at first."""

    def __init__(self, facts: QueueFacts, clock_ahead_ms: float, random: Random) -> None:
        super().__init__(facts, clock_ahead_ms, random)
        self.tokens *= 2

    def burst(self) -> float:
        return super().burst() * 2


class Impatient(ImaginedRoom):
    """Drops people before their time is over."""

    def timeout_s(self) -> float:
        return super().timeout_s() * 0.5


class Forbearing(ImaginedRoom):
    """Drops people far too late."""

    def timeout_s(self) -> float:
        return super().timeout_s() * 3


class Forgetful(ImaginedRoom):
    """Does not know any more whom it has dropped."""

    def buried(self) -> Outcome:
        return Outcome.UNKNOWN


class KeepsWhoLeft(ImaginedRoom):
    """Says that somebody has left, and keeps the place."""

    def leave(self, name: str) -> None:
        if name in self.sessions:
            super().leave(name)


class LetsInTwice(ImaginedRoom):
    """Hands a fresh session to whoever asks again."""

    def answer(self, asked: RequestKind, name: str, priority: int, time_s: float) -> Reply:
        if asked is RequestKind.ACTIVITY and name in self.sessions:
            self.let_in(name, time_s)
            return self.place_of(name)
        return super().answer(asked, name, priority, time_s)


class SharesPlaces(ImaginedRoom):
    """Gives every tenth visitor somebody else's place."""

    def let_in(self, name: str, time_s: float) -> None:
        super().let_in(name, time_s)
        entry = self.sessions[name]
        if entry.session_id.endswith("7"):
            self.sessions[name] = msgspec.structs.replace(entry, session_id=entry.session_id[:-1] + "6")


class EndsSessionsEarly(ImaginedRoom):
    def answer(self, asked: RequestKind, name: str, priority: int, time_s: float) -> Reply:
        if asked is RequestKind.ACTIVITY and name.endswith("3"):
            self.sessions.pop(name, None)
            self.gone[name] = Outcome.EXPIRED
        return super().answer(asked, name, priority, time_s)


class NamesStrangers(ImaginedRoom):
    """Signs tokens that name another place."""

    def let_in(self, name: str, time_s: float) -> None:
        super().let_in(name, time_s)
        self.sessions[name] = msgspec.structs.replace(self.sessions[name], position_id="p-0")


class Failing(ImaginedRoom):
    def answer(self, asked: RequestKind, name: str, priority: int, time_s: float) -> Reply:
        if asked is RequestKind.ACTIVITY and name == "p-17":
            return Outcome.FAILED, {"status": 500, "reason": "INTERNAL_ERROR"}
        return super().answer(asked, name, priority, time_s)


FALSE_ROOMS: list[tuple[type[ImaginedRoom], Judge]] = [
    (LastComeFirstServed, promises.order),
    (SwapsNeighbours, promises.order),
    (StarvesOne, promises.order),
    (BlindToPriority, promises.priorities),
    (Overcrowded, promises.cap),
    (TooFast, promises.rate),
    (TwiceTheBurst, promises.rate),
    (Impatient, promises.faithful),
    (Forbearing, promises.silent),
    (Forgetful, promises.silent),
    (KeepsWhoLeft, promises.once),
    (LetsInTwice, promises.once),
    (SharesPlaces, promises.once),
    (EndsSessionsEarly, promises.lasting),
    (NamesStrangers, promises.tokens),
    (Failing, promises.served),
]

SHARING = msgspec.structs.replace(FACTS, priority_share=0.8)

# Nothing but the rate holds anybody back, so that the rate shows.
ROOMY = msgspec.structs.replace(FACTS, max_active_users=10_000)


@pytest.mark.parametrize(("room", "promise"), FALSE_ROOMS, ids=lambda value: value.__name__)
def test_a_room_that_breaks_a_promise_is_caught(room: type[ImaginedRoom], promise: Judge) -> None:
    seen = simulate(room, facts=ROOMY if promise is promises.rate else FACTS)
    assert promise(gather(seen)).is_kept is False


class BlindWithShares(BlindToPriority):
    def share(self) -> float:
        return 1.0


@pytest.mark.parametrize("room", [GivesNoShare, GivesLowerOnesTooMuch, BlindWithShares])
@pytest.mark.parametrize("seed", range(3))
def test_a_room_that_gives_a_priority_another_share_is_caught(room: type[ImaginedRoom], seed: int) -> None:
    judgement = promises.priorities(gather(simulate(room, facts=SHARING, visitors=600, seed=seed)))
    assert judgement.is_kept is False, judgement
    assert promises.priorities(gather(simulate(facts=SHARING, visitors=600, seed=seed))).is_kept


def test_shares_are_not_judged_where_they_cannot_be_known() -> None:
    seen = simulate(GivesNoShare, facts=SHARING, visitors=600)
    others = msgspec.structs.replace(seen, waiting_before=1)
    assert promises.priorities(gather(others)).is_kept is None
    changed = msgspec.structs.replace(seen, facts_after=FACTS)
    assert not judge(changed).broken
    lost = ObservedAnswer(RequestKind.JOIN, Outcome.UNANSWERED, 0.0, 30.0)
    visit = msgspec.structs.replace(seen.visits[0], answers=(lost,))
    in_doubt = msgspec.structs.replace(seen, visits=(*seen.visits, visit))
    assert promises.priorities(gather(in_doubt)).is_kept is None
    one = [v for v in seen.visits if v.priority == 0]
    single = msgspec.structs.replace(seen, visits=tuple(one))
    assert promises.priorities(gather(single)).is_kept is None


@pytest.mark.parametrize("promise", promises.ALL, ids=lambda promise: promise.__name__)
def test_each_promise_is_seen_to_be_kept_in_a_true_room(promise: Judge) -> None:
    judgement = promise(gather(simulate(visitors=600)))
    # No token is signed in an imagined room.
    assert judgement.is_kept is (None if promise is promises.tokens else True), judgement


def test_every_promise_has_a_room_that_breaks_it() -> None:
    assert {promise for _, promise in FALSE_ROOMS} == set(promises.ALL) - {promises.moving}


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    worst_latency_s=st.sampled_from([0.002, 0.3, 2.5]),
    clock_ahead_ms=st.floats(-1e7, 1.8e12),
    join_rate=st.sampled_from([5.0, 50.0, 5000.0]),
    rate=st.sampled_from([0.7, 10.0, 333.3]),
    most=st.sampled_from([1, 20, 500]),
    share=st.sampled_from([0.3, 0.8, 0.97, 1.0]),
)
def test_a_true_room_is_never_called_false(
    seed: int,
    worst_latency_s: float,
    clock_ahead_ms: float,
    join_rate: float,
    rate: float,
    most: int,
    share: float,
) -> None:
    seen = simulate(
        facts=msgspec.structs.replace(
            FACTS, admission_rate=rate, max_active_users=most, priority_share=share
        ),
        visitors=80,
        join_rate=join_rate,
        seed=seed,
        clock_ahead_ms=clock_ahead_ms,
        habits=Habits(latency_s=(0.0, worst_latency_s)),
    )
    assert judge(seen).broken == ()


def test_a_visitor_whose_own_heartbeat_was_too_late_is_not_held_against_the_server() -> None:
    habits = Habits(beat_late_s=lambda visit_plan: 11.0 if visit_plan.number % 10 == 0 else 0.0)
    verdict = judge(simulate(habits=habits))
    assert verdict.broken == ()
    assert verdict.figures.expired > 0
    assert any("this machine sent their heartbeats too late" in note for note in verdict.notes)


def test_the_figures_of_a_sale_add_up() -> None:
    figures = judge(simulate(visitors=600)).figures
    assert figures.joined == 600
    assert figures.admitted + figures.left + figures.expired + figures.lost == figures.joined
    assert figures.most_active == FACTS.max_active_users
    assert figures.admitted_per_s < FACTS.admission_rate
    assert figures.estimate_median_s < figures.estimate_p90_s


def lost_place(*answers: ObservedAnswer, effort_lag_s: float = 0.0) -> Verdict:
    """The verdict on a true sale after which one more visitor came, and got these answers."""
    seen = simulate(visitors=30)
    later = tuple(
        msgspec.structs.replace(answer, sent_s=1000 + answer.sent_s, received_s=1000 + answer.received_s)
        for answer in answers
    )
    visit = msgspec.structs.replace(
        seen.visits[0], number=99, behaviour=Behaviour.STAYS, position_id="p-99", answers=later
    )
    effort = msgspec.structs.replace(seen.effort, worst_lag_s=effort_lag_s)
    return judge(msgspec.structs.replace(seen, visits=(*seen.visits, visit), effort=effort))


def joined(sent_s: float = 0.0, received_s: float = 0.1) -> ObservedAnswer:
    return ObservedAnswer(RequestKind.JOIN, Outcome.WAITING, sent_s, received_s)


def heartbeat(outcome: Outcome, sent_s: float, received_s: float, **more: object) -> ObservedAnswer:
    return ObservedAnswer(RequestKind.HEARTBEAT, outcome, sent_s, received_s, **more)  # type: ignore[arg-type]


def broken(verdict: Verdict) -> str:
    return "; ".join(f"{promise.name}: {promise.detail}" for promise in verdict.broken)


def test_a_place_lost_before_the_timeout_could_be_over_is_a_broken_promise() -> None:
    assert "before the timeout" in broken(lost_place(joined(), heartbeat(Outcome.EXPIRED, 5, 14.9)))


def test_a_place_lost_because_the_server_took_too_long_is_a_broken_promise() -> None:
    verdict = lost_place(joined(), heartbeat(Outcome.WAITING, 5, 12), heartbeat(Outcome.EXPIRED, 12.1, 20.5))
    assert "too slow" in broken(verdict)


def test_a_place_lost_when_this_machine_lagged_as_much_is_not_held_against_the_server() -> None:
    heartbeats = (joined(), heartbeat(Outcome.WAITING, 5, 12), heartbeat(Outcome.EXPIRED, 12.1, 20.5))
    assert broken(lost_place(*heartbeats, effort_lag_s=8.0)) == ""


def test_a_place_lost_because_heartbeats_were_refused_as_too_many_is_a_broken_promise() -> None:
    refused = heartbeat(Outcome.REFUSED, 5, 5.1, status=429, reason="RATE_LIMITED")
    verdict = lost_place(joined(), refused, heartbeat(Outcome.EXPIRED, 10, 15.2))
    assert "refused heartbeats" in broken(verdict)
    assert len(verdict.broken) == 1
    assert any("(429)" in note for note in verdict.notes)


def test_a_place_lost_while_the_server_was_away_is_told_but_breaks_only_the_promise_to_answer() -> None:
    unanswered = heartbeat(Outcome.UNANSWERED, 5, 6, reason="Connection refused")
    verdict = lost_place(joined(), unanswered, heartbeat(Outcome.EXPIRED, 10, 15.2))
    assert broken(verdict).startswith("No request fails")
    assert len(verdict.broken) == 1
    assert any("did not answer" in note for note in verdict.notes)


def test_a_visitor_who_waited_in_vain_for_an_answer_is_not_said_to_have_been_late() -> None:
    unanswered = heartbeat(Outcome.UNANSWERED, 5, 35, reason="no answer within 30 s")
    verdict = lost_place(joined(), unanswered, heartbeat(Outcome.EXPIRED, 36, 36.2), effort_lag_s=5.0)
    assert not any("too late" in note for note in verdict.notes)


def test_an_answer_that_came_after_the_timeout_is_the_servers_delay() -> None:
    verdict = lost_place(joined(), heartbeat(Outcome.WAITING, 5, 25), heartbeat(Outcome.EXPIRED, 25.1, 25.2))
    assert "too slow" in broken(verdict)


def test_a_session_that_was_over_before_its_visitor_heard_of_it_is_told_and_nothing_broken() -> None:
    verdict = lost_place(joined(), heartbeat(Outcome.EXPIRED, 5, 61, reason="session_timeout"))
    assert broken(verdict) == ""
    assert any("session ended before" in note for note in verdict.notes)


def test_a_session_cannot_be_over_sooner_than_it_lasts() -> None:
    verdict = lost_place(joined(), heartbeat(Outcome.EXPIRED, 5, 5.1, reason="session_timeout"))
    assert "before the timeout" in broken(verdict)


def test_a_place_that_an_operator_flushed_is_no_broken_promise() -> None:
    verdict = lost_place(joined(), heartbeat(Outcome.EXPIRED, 5, 5.1, reason="flushed"))
    assert broken(verdict) == ""
    assert any("operator" in note for note in verdict.notes)


def test_a_place_that_is_gone_after_an_unanswered_wish_to_leave_is_left_and_not_lost() -> None:
    unanswered = ObservedAnswer(
        RequestKind.LEAVE, Outcome.UNANSWERED, 2.0, 2.1, reason="the connection was lost"
    )
    verdict = lost_place(
        joined(), unanswered, ObservedAnswer(RequestKind.LEAVE, Outcome.UNKNOWN, 3.2, 3.3, status=404)
    )
    assert broken(verdict).startswith("No request fails")
    assert len(verdict.broken) == 1
    assert verdict.figures.lost == 0


@pytest.mark.parametrize(("over_at_s", "is_kept"), [(61.5, True), (55.0, False)])
def test_a_session_may_be_over_when_its_token_says_so_and_not_before(over_at_s: float, is_kept: bool) -> None:
    seen = simulate(visitors=30, clock_ahead_ms=0.0)
    entry = ObservedEntry("s-99", "p-99", "demo", 1_000_500, 1_061)
    answers = (
        ObservedAnswer(RequestKind.JOIN, Outcome.WAITING, 1000.0, 1000.1),
        ObservedAnswer(RequestKind.STATUS, Outcome.ADMITTED, 1000.6, 1000.7, entry=entry),
        ObservedAnswer(
            RequestKind.ACTIVITY, Outcome.EXPIRED, 1000 + over_at_s, 1000.1 + over_at_s, status=410
        ),
    )
    visit = msgspec.structs.replace(seen.visits[0], number=99, position_id="p-99", answers=answers)
    evidence = gather(msgspec.structs.replace(seen, visits=(*seen.visits, visit)))
    assert promises.lasting(evidence).is_kept is is_kept


def test_who_left_before_another_was_let_in_was_not_overtaken_however_unsure_the_clocks() -> None:
    """The only admission is known to within three seconds, and in the middle of them the other one left."""
    seen = simulate(visitors=1)
    entry = ObservedEntry("s-1", "p-1", "demo", 10_500, 100)
    ahead = (
        joined(),
        heartbeat(Outcome.WAITING, 10.0, 10.1),
        ObservedAnswer(RequestKind.LEAVE, Outcome.LEFT, 10.2, 10.3),
    )
    behind = (
        joined(1.0, 1.1),
        heartbeat(Outcome.WAITING, 9.0, 9.1),
        heartbeat(Outcome.ADMITTED, 11.9, 12.0, entry=entry),
    )
    visits = tuple(
        msgspec.structs.replace(seen.visits[0], number=number, position_id=f"p-{number}", answers=answers)
        for number, answers in enumerate((ahead, behind))
    )
    assert judge(msgspec.structs.replace(seen, visits=visits)).figures.inversions == 0


def test_what_a_stream_told_late_does_not_prove_that_somebody_was_overtaken() -> None:
    """Told on a stream to be in line, a second after somebody behind was let in; then the visitor is gone."""
    seen = simulate(visitors=1)
    entry = ObservedEntry("s-1", "p-1", "demo", 10_500, 100)
    opened = ObservedAnswer(RequestKind.STREAM, Outcome.WAITING, 0.2, 0.3)
    told_late = ObservedAnswer(RequestKind.STREAM, Outcome.WAITING, 11.5, 11.5, told_since_s=0.2)
    behind = (
        joined(1.0, 1.1),
        heartbeat(Outcome.WAITING, 10.4, 10.45),
        heartbeat(Outcome.ADMITTED, 10.5, 10.55, entry=entry),
    )
    visits = tuple(
        msgspec.structs.replace(seen.visits[0], number=number, position_id=f"p-{number}", answers=answers)
        for number, answers in enumerate(((joined(), opened, told_late), behind))
    )
    assert judge(msgspec.structs.replace(seen, visits=visits)).figures.inversions == 0


def changed(**settings_after: object) -> Observations:
    seen = simulate(Overcrowded)
    return msgspec.structs.replace(seen, facts_after=msgspec.structs.replace(FACTS, **settings_after))


def test_what_depends_on_settings_is_not_judged_when_they_were_changed_meanwhile() -> None:
    verdict = judge(changed(max_active_users=25))
    assert verdict.broken == ()
    assert any("settings changed during the run" in note for note in verdict.notes)


def test_a_pause_meanwhile_does_not_keep_the_rest_from_being_judged() -> None:
    assert "sessions at the same time" in broken(judge(changed(status="paused")))


def test_a_line_that_does_not_move_is_a_broken_promise_unless_the_queue_was_paused() -> None:
    seen = msgspec.structs.replace(simulate(visitors=30), stalled_s=130.0)
    assert "The queue moves" in broken(judge(seen))
    paused = msgspec.structs.replace(seen, facts_after=msgspec.structs.replace(FACTS, status="paused"))
    assert broken(judge(paused)) == ""


def test_being_turned_away_from_a_queue_without_a_maximum_is_a_broken_promise() -> None:
    full = ObservedAnswer(RequestKind.JOIN, Outcome.TURNED_AWAY, 1.0, 1.1, status=503, reason="QUEUE_FULL")
    verdict = lost_place(full)
    assert "QUEUE_FULL" in broken(verdict)


def test_being_turned_away_from_a_full_queue_is_told_and_nothing_broken() -> None:
    full = ObservedAnswer(RequestKind.JOIN, Outcome.TURNED_AWAY, 1.0, 1.1, status=503, reason="QUEUE_FULL")
    seen = simulate(visitors=30, facts=msgspec.structs.replace(FACTS, max_queue_size=30))
    visit = msgspec.structs.replace(seen.visits[0], number=99, position_id="", answers=(full,))
    verdict = judge(msgspec.structs.replace(seen, visits=(*seen.visits, visit)))
    assert verdict.broken == ()
    assert verdict.figures.turned_away == 1
    assert any("turned away" in note for note in verdict.notes)


def test_a_false_time_in_tokens_is_told() -> None:
    class Backdating(ImaginedRoom):
        def now_ms(self, time_s: float) -> int:
            return super().now_ms(time_s) - (5000 if self.random.random() < 0.5 else 0)

    assert any("differ by" in note for note in judge(simulate(Backdating)).notes)


def test_nothing_seen_is_nothing_judged() -> None:
    nobody = msgspec.structs.replace(simulate(visitors=1), visits=())
    verdict = judge(nobody)
    assert verdict.broken == ()
    assert [p.name for p in verdict.promises if p.is_kept] == ["No request fails"]


def test_a_queue_of_one_place_is_judged_like_any_other() -> None:
    facts = QueueFacts("one", "active", 1, 0, 0.5, 60, 5, 15)
    assert judge(simulate(facts=facts, visitors=20)).broken == ()


def test_the_same_seed_imagines_the_same_sale() -> None:
    assert simulate(seed=3, visitors=20) == simulate(seed=3, visitors=20)
    assert Random(3).random() != Random(4).random()
