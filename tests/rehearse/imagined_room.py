"""A waiting room and its visitors in imagined time: what a rehearsal would see of a server, true or false."""

import heapq
import itertools
from collections.abc import Callable, Generator, Iterator
from random import Random
from typing import Any

import msgspec

from wr.rehearse.observations import (
    SIGNS_OF_LIFE,
    Effort,
    Observations,
    ObservedAnswer,
    ObservedEntry,
    ObservedVisit,
    Outcome,
    RequestKind,
)
from wr.rehearse.plan import MARGIN_S, Behaviour, Plan, QueueFacts, VisitPlan, make_visit_plans

FACTS = QueueFacts(
    id="demo",
    status="active",
    max_active_users=20,
    max_queue_size=0,
    admission_rate=10.0,
    session_timeout_seconds=60,
    heartbeat_interval_seconds=5,
    heartbeat_timeout_seconds=15,
)
PASS_EVERY_S = 0.25
ENDS_S = 300.0
"""When a sale is broken off: in a false room somebody may wait for ever."""

Visit = Generator[tuple[RequestKind, float], tuple[ObservedAnswer, dict[str, Any]], None]
Reply = tuple[Outcome, dict[str, Any]]


class ImaginedRoom:
    """Keeps every promise. Time comes in as seconds; false rooms override what they get wrong."""

    def __init__(self, facts: QueueFacts, clock_ahead_ms: float, random: Random) -> None:
        self.facts = facts
        self.random = random
        self._ahead_ms = clock_ahead_ms
        self._arrivals = itertools.count()
        self.waiting: dict[str, tuple[int, int]] = {}
        self.seen: dict[str, float] = {}
        self.sessions: dict[str, ObservedEntry] = {}
        self.gone: dict[str, Outcome] = {}
        self.dropped: set[str] = set()
        self.tokens = facts.burst
        self.owed = [0.0] * 4
        self._passed_s = 0.0

    def now_ms(self, time_s: float) -> int:
        return int(time_s * 1000 + self._ahead_ms)

    def line(self) -> list[str]:
        return sorted(self.waiting, key=lambda name: self.waiting[name])

    def share(self) -> float:
        return self.facts.priority_share

    def front(self, count: int) -> list[str]:
        """Who is let in next: each priority gets its share while lower ones wait."""
        line = self.line()
        if self.share() >= 1:
            return line[:count]
        classes = [[name for name in line if self.waiting[name][0] == -priority] for priority in range(4)]
        chosen: list[str] = []
        while len(chosen) < count and any(classes):
            for priority in (3, 2, 1, 0):
                if not classes[priority]:
                    continue
                if any(classes[:priority]):
                    self.owed[priority] += 1 - self.share()
                    if self.owed[priority] >= 0.999999:
                        self.owed[priority] -= 1
                        continue
                chosen.append(classes[priority].pop(0))
                break
        return chosen

    def admit(self, time_s: float) -> None:
        """One admission pass."""
        for name in [name for name in self.waiting if time_s - self.seen[name] >= self.timeout_s()]:
            del self.waiting[name]
            self.gone[name] = self.buried()
            self.dropped.add(name)
        for name in [
            n for n, entry in self.sessions.items() if entry.expires_s * 1000 <= self.now_ms(time_s)
        ]:
            del self.sessions[name]
            self.gone[name] = Outcome.EXPIRED
        self.tokens = min(self.burst(), self.tokens + self.rate() * (time_s - self._passed_s))
        self._passed_s = time_s
        for name in self.front(max(0, min(int(self.tokens + 1e-6), self.space()))):
            self.tokens -= 1
            del self.waiting[name]
            self.let_in(name, time_s)

    def let_in(self, name: str, time_s: float) -> None:
        lasts_s = self.facts.session_timeout_seconds
        admitted_ms = self.now_ms(time_s)
        self.sessions[name] = ObservedEntry(
            f"s-{name}", name, self.facts.id, admitted_ms, admitted_ms // 1000 + 1 + lasts_s
        )

    def timeout_s(self) -> float:
        return self.facts.heartbeat_timeout_seconds

    def buried(self) -> Outcome:
        return Outcome.EXPIRED

    def rate(self) -> float:
        return self.facts.admission_rate

    def burst(self) -> float:
        return self.facts.burst

    def space(self) -> int:
        return self.facts.max_active_users - len(self.sessions)

    def place_of(self, name: str) -> Reply:
        if name in self.waiting:
            # The line is not sorted for this: it would make the imagined room slower than a real one.
            return Outcome.WAITING, {
                "position": len(self.waiting),
                "estimated_wait_s": len(self.waiting) // 10,
            }
        if name in self.sessions:
            return Outcome.ADMITTED, {"entry": self.sessions[name]}
        outcome = self.gone.get(name, Outcome.UNKNOWN)
        return outcome, {"reason": "heartbeat_timeout"} if name in self.dropped else {}

    def answer(self, asked: RequestKind, name: str, priority: int, time_s: float) -> Reply:
        """Answer a request that arrives at `time_s`."""
        if asked is RequestKind.JOIN:
            self.waiting[name] = (-priority, next(self._arrivals))
            self.seen[name] = time_s
        elif asked is RequestKind.HEARTBEAT and name in self.waiting:
            self.seen[name] = time_s
        elif asked is RequestKind.LEAVE and (name in self.waiting or name in self.sessions):
            self.leave(name)
            return Outcome.LEFT, {}
        elif asked in (RequestKind.SESSION, RequestKind.ACTIVITY) and name in self.sessions:
            return Outcome.ACTIVE, {}
        return self.place_of(name)

    def leave(self, name: str) -> None:
        self.waiting.pop(name, None)
        self.sessions.pop(name, None)
        self.gone[name] = Outcome.UNKNOWN


class Habits(msgspec.Struct, frozen=True):
    """How this machine and the network behave."""

    latency_s: tuple[float, float] = (0.001, 0.2)
    beat_late_s: Callable[[VisitPlan], float] = lambda _visit_plan: 0.0


def visitor(visit_plan: VisitPlan, plan: Plan, start_s: float, habits: Habits) -> Visit:
    """A visitor, spoken to with answers, who says what is asked next and when; like `wr.rehearse.visitor`."""
    facts = plan.facts
    answer, _ = yield RequestKind.JOIN, start_s
    joined_s = answer.received_s
    has_acted = False
    while answer.outcome is Outcome.WAITING:
        next_s = max(
            answer.sent_s + facts.heartbeat_interval_seconds + habits.beat_late_s(visit_plan),
            answer.received_s,
        )
        acts = not has_acted and answer.received_s - joined_s >= visit_plan.acts_after_s
        has_acted = has_acted or acts
        if acts and visit_plan.behaviour is Behaviour.LEAVES:
            answer, _ = yield RequestKind.LEAVE, answer.received_s
        elif acts and visit_plan.behaviour is Behaviour.VANISHES:
            answer, _ = yield (
                RequestKind.STATUS,
                answer.received_s + facts.heartbeat_timeout_seconds + MARGIN_S + 0.1,
            )
            if answer.outcome is not Outcome.ADMITTED:
                return
        elif acts and visit_plan.behaviour is Behaviour.RETURNS:
            answer, _ = yield RequestKind.HEARTBEAT, answer.sent_s + visit_plan.silence_s
        else:
            answer, _ = yield RequestKind.HEARTBEAT, next_s
    if answer.outcome is Outcome.ADMITTED:
        answer, _ = yield RequestKind.ACTIVITY, answer.received_s
        answer, _ = yield RequestKind.LEAVE, answer.received_s + visit_plan.dwell_s
    if answer.outcome is Outcome.LEFT and visit_plan.checks_after_leaving:
        yield RequestKind.STATUS, answer.received_s + 1


def simulate(
    make_room: Callable[[QueueFacts, float, Random], ImaginedRoom] = ImaginedRoom,
    *,
    facts: QueueFacts = FACTS,
    visitors: int = 300,
    join_rate: float = 50.0,
    seed: int = 1,
    clock_ahead_ms: float = 1_700_000_000_123.4,
    habits: Habits = Habits(),  # noqa: B008 - frozen
) -> Observations:
    """Play a sale in imagined time and hand over what was seen of it."""
    plan = Plan(facts, visitors, join_rate, seed, "test")
    random = Random(seed)
    room = make_room(facts, clock_ahead_ms, random)
    visit_plans = list(make_visit_plans(plan, random))
    answers: dict[int, list[ObservedAnswer]] = {visit_plan.number: [] for visit_plan in visit_plans}
    confirmed_s: dict[int, float] = {}
    talks = {
        visit_plan.number: visitor(visit_plan, plan, visit_plan.comes_at_s, habits)
        for visit_plan in visit_plans
    }
    order = itertools.count()
    agenda: list[tuple[float, int, int, RequestKind, float]] = []

    def latency_s() -> float:
        return random.uniform(*habits.latency_s)

    def say(number: int, line: tuple[RequestKind, float]) -> None:
        asked, sent_s = line
        heapq.heappush(agenda, (sent_s + latency_s(), next(order), number, asked, sent_s))

    for visit_plan in visit_plans:
        say(visit_plan.number, next(talks[visit_plan.number]))
    passes = _passes()
    next_pass_s = next(passes)
    while agenda:
        time_s, _, number, asked, sent_s = heapq.heappop(agenda)
        if time_s > ENDS_S:
            break
        while next_pass_s <= time_s:
            room.admit(next_pass_s)
            next_pass_s = next(passes)
        outcome, facts_told = room.answer(asked, f"p-{number}", visit_plans[number].priority, time_s)
        silent_s = max(0.0, sent_s - confirmed_s.get(number, sent_s))
        answer = ObservedAnswer(asked, outcome, sent_s, time_s + latency_s(), silent_s, **facts_told)
        answers[number].append(answer)
        if asked in SIGNS_OF_LIFE:
            confirmed_s[number] = answer.received_s
        try:
            say(number, talks[number].send((answer, {})))
        except StopIteration:
            continue
    return Observations(
        plan=plan,
        visits=tuple(
            ObservedVisit(
                visit_plan.number,
                visit_plan.priority,
                visit_plan.behaviour,
                f"p-{visit_plan.number}",
                tuple(answers[visit_plan.number]),
            )
            for visit_plan in visit_plans
        ),
        effort=Effort(requests=sum(map(len, answers.values()))),
        duration_s=100.0,
        facts_after=facts,
        published_keys={"keys": []},
    )


def _passes() -> Iterator[float]:
    for number in itertools.count():
        yield number * PASS_EVERY_S
