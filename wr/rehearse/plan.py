"""What is going to be played: how many visitors, when each comes, and what each will do. Pure."""

import math
from collections.abc import Iterator
from enum import Enum
from ipaddress import IPv4Address
from random import Random

import msgspec

MARGIN_S = 2.0
"""How long after the timeout a silent visitor must be gone at the latest. How often a server looks cannot be
known from outside; one that takes longer than this is called late."""

MOST_VISITORS = 2**17
"""One for each address of 198.18.0.0/15, which is set aside for tests like this (RFC 2544): no real visitor
has such an address."""

_BENCHMARK_NETWORK = IPv4Address("198.18.0.0")

_HEARD_AFTER_S = 1.0
"""About how long a session has begun before its visitor hears of it."""

_PRIORITIES = (0, 1, 2, 3)
_PRIORITY_WEIGHTS = (70, 15, 10, 5)
_CAMPAIGNS = ("newsletter", "search", "radio", "poster")


class Behaviour(Enum):
    """What a visitor means to do while waiting. Who is let in before, uses the session."""

    STAYS = "stays"
    """Sends heartbeats until let in."""
    LEAVES = "leaves"
    """Gives the place up."""
    RETURNS = "returns"
    """Falls silent once, for less than the timeout."""
    VANISHES = "vanishes"
    """Falls silent for good, and looks in once long after the timeout."""


_BEHAVIOUR_WEIGHTS = {
    Behaviour.STAYS: 78,
    Behaviour.LEAVES: 8,
    Behaviour.RETURNS: 9,
    Behaviour.VANISHES: 5,
}


class QueueFacts(msgspec.Struct, frozen=True):
    """A queue's settings, as the admin API tells them."""

    id: str
    status: str
    max_active_users: int
    max_queue_size: int
    admission_rate: float
    session_timeout_seconds: int
    heartbeat_interval_seconds: int
    heartbeat_timeout_seconds: int
    entry: str = "open"
    open_priority: int = 3
    priority_share: float = 1.0

    @property
    def unused_timeout_seconds(self) -> int:
        """How long a place is kept whose token is never used."""
        return min(self.heartbeat_timeout_seconds, max(3 * self.heartbeat_interval_seconds, 30))

    @property
    def burst(self) -> float:
        """How many may be let in at once after a lull: one second's worth, at least one."""
        return max(self.admission_rate, 1.0)

    def takes_pass(self, priority: int) -> bool:
        """Whether a visitor needs a pass to join with this priority."""
        return self.entry != "open" or priority > self.open_priority


class Plan(msgspec.Struct, frozen=True):
    """One rehearsal."""

    facts: QueueFacts
    visitors: int
    join_rate: float
    """Visitors who come per second, on average."""
    seed: int
    """The same seed plays the same sale."""
    run_id: str
    """Unlike any other run's, so that nobody is taken for a visitor of an earlier one."""
    is_live: bool = False
    """Whether visitors wait on WebSockets instead of asking again and again."""
    stream_patience_s: float = math.inf
    """How long a live stream may bring nothing, not even a ping, before its visitor opens another."""
    most_tries: int = 10
    """How often a visitor asks for what it needs and gets no proper answer to."""
    keeps_all_answers: bool = False
    """Whether every answer is kept, also of a long row of heartbeats answered «waiting»."""

    @property
    def mean_dwell_s(self) -> float:
        """How long a session is used on average: so long that the room is nearly full at the full rate, but
        short enough for a rehearsal."""
        facts = self.facts
        full_s = facts.max_active_users / facts.admission_rate
        return min(max(full_s / 4, 0.8 * full_s - _HEARD_AFTER_S), 5.0, facts.session_timeout_seconds / 8)

    @property
    def expected_s(self) -> float:
        """Roughly how long it will take: the joining, or the letting in if that is slower, and the end."""
        facts = self.facts
        turnover = facts.max_active_users / (self.mean_dwell_s + _HEARD_AFTER_S)
        share_let_in = (
            1 - (_BEHAVIOUR_WEIGHTS[Behaviour.LEAVES] + _BEHAVIOUR_WEIGHTS[Behaviour.VANISHES]) / 100
        )
        letting_in_s = self.visitors * share_let_in / min(facts.admission_rate, turnover)
        return max(self.visitors / self.join_rate, letting_in_s) + self.mean_dwell_s + 2.0

    def is_far_back(self, position: int, seconds: float) -> bool:
        """Whether somebody at that position will hardly be let in within so many seconds, even if a quarter
        of those before them give up."""
        facts = self.facts
        return position > 1.33 * facts.admission_rate * seconds + facts.burst


class VisitPlan(msgspec.Struct, frozen=True):
    """What one visitor will do."""

    number: int
    comes_at_s: float
    """Seconds after the start."""
    priority: int
    """What the visitor asks for, with a pass where that takes one."""
    behaviour: Behaviour
    address: str
    metadata: dict[str, str | int | float | bool]
    acts_after_s: float
    """When, after joining, a visitor who means to leave or to fall silent does so."""
    silence_s: float
    """For how long a visitor who returns is silent: more than the interval, less than the timeout."""
    page_views: int
    dwell_s: float
    checks_after_leaving: bool
    """Whether the visitor asks once more after having left."""
    used_pass: str = ""
    """The pass that the visitor brings; empty for none."""
    is_live: bool = False
    """Whether this visitor waits on a WebSocket although others poll."""


def make_visit_plans(plan: Plan, random: Random) -> Iterator[VisitPlan]:
    """Write every visitor's script, in the order they come: a Poisson stream at the join rate."""
    facts = plan.facts
    interval_s, timeout_s = facts.heartbeat_interval_seconds, facts.heartbeat_timeout_seconds
    first_address = random.randrange(MOST_VISITORS)
    comes_at_s = 0.0
    for number in range(plan.visitors):
        comes_at_s += random.expovariate(plan.join_rate)
        (behaviour,) = random.choices(list(_BEHAVIOUR_WEIGHTS), list(_BEHAVIOUR_WEIGHTS.values()))
        (priority,) = random.choices(_PRIORITIES, _PRIORITY_WEIGHTS)
        address = _BENCHMARK_NETWORK + (first_address + number) % MOST_VISITORS
        yield VisitPlan(
            number=number,
            comes_at_s=comes_at_s,
            priority=priority,
            behaviour=behaviour,
            address=str(address),
            metadata={
                "user_id": f"rehearsal-{plan.run_id}-{number}",
                "campaign": random.choice(_CAMPAIGNS),
                "visits": random.randrange(100),
                "is_member": random.random() < 0.3,
            },
            acts_after_s=random.uniform(0, 2 * interval_s),
            silence_s=interval_s + (timeout_s - interval_s) * random.uniform(0.3, 0.6),
            page_views=random.randint(1, 3),
            dwell_s=min(random.expovariate(1 / plan.mean_dwell_s), 3 * plan.mean_dwell_s),
            checks_after_leaving=random.random() < (0.5 if behaviour is Behaviour.LEAVES else 0.1),
        )
