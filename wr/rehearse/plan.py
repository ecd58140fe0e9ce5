"""Plans a run: how many visitors come, when each of them comes, and what each of them does. Pure."""

import math
from collections.abc import Iterator
from enum import Enum
from ipaddress import IPv4Address
from random import Random

import msgspec

MARGIN_S = 2.0
"""Seconds after the timeout by which a silent visitor must be dropped. From outside one cannot know how often
a server checks; a server that takes longer than this is late."""

MOST_VISITORS = 2**17
"""One visitor for each address of 198.18.0.0/15. RFC 2544 reserves this network for tests, so no real visitor
has such an address."""

_BENCHMARK_NETWORK = IPv4Address("198.18.0.0")

_HEARD_AFTER_S = 1.0
"""About how many seconds a session has been active before its visitor learns of it."""

_PRIORITIES = (0, 1, 2, 3)
_PRIORITY_WEIGHTS = (70, 15, 10, 5)
_CAMPAIGNS = ("newsletter", "search", "radio", "poster")


class Behaviour(Enum):
    """What a visitor plans to do while waiting. A visitor who is admitted before that uses the session."""

    STAYS = "stays"
    """Sends heartbeats until admitted."""
    LEAVES = "leaves"
    """Gives up the place."""
    RETURNS = "returns"
    """Sends no heartbeats once, for less than the timeout."""
    VANISHES = "vanishes"
    """Stops sending heartbeats, and checks the status once after the timeout."""


_BEHAVIOUR_WEIGHTS = {
    Behaviour.STAYS: 78,
    Behaviour.LEAVES: 8,
    Behaviour.RETURNS: 9,
    Behaviour.VANISHES: 5,
}


class QueueFacts(msgspec.Struct, frozen=True):
    """A queue's settings, as the admin API returns them."""

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
        """Seconds for which the server keeps a place whose token is never used."""
        return min(self.heartbeat_timeout_seconds, max(3 * self.heartbeat_interval_seconds, 30))

    @property
    def burst(self) -> float:
        """How many visitors may be admitted at once after a pause: one second's worth, at least one."""
        return max(self.admission_rate, 1.0)

    def takes_pass(self, priority: int) -> bool:
        """Whether a visitor needs a pass to join with this priority."""
        return self.entry != "open" or priority > self.open_priority


class Plan(msgspec.Struct, frozen=True):
    """The plan of one run."""

    facts: QueueFacts
    visitors: int
    join_rate: float
    """Visitors who come per second, on average."""
    seed: int
    """The same seed gives the same plan."""
    run_id: str
    """Different for each run, so that the server does not confuse visitors of two runs."""
    is_live: bool = False
    """Whether all visitors wait on WebSockets instead of polling."""
    stream_patience_s: float = math.inf
    """Seconds without any data on a live stream, not even a ping, after which a visitor opens another."""
    most_tries: int = 10
    """How often a visitor repeats a necessary request that gets no proper answer."""
    keeps_all_answers: bool = False
    """Whether to keep every answer, even of many heartbeats in a row that were answered «waiting»."""

    @property
    def mean_dwell_s(self) -> float:
        """Average seconds that a visitor uses a session.

        Long enough to nearly fill the queue's sessions at the full admission rate, short enough for a test.
        """
        facts = self.facts
        full_s = facts.max_active_users / facts.admission_rate
        return min(max(full_s / 4, 0.8 * full_s - _HEARD_AFTER_S), 5.0, facts.session_timeout_seconds / 8)

    @property
    def expected_s(self) -> float:
        """Roughly how many seconds the run takes: joins or admissions, whichever is slower, and the end."""
        facts = self.facts
        turnover = facts.max_active_users / (self.mean_dwell_s + _HEARD_AFTER_S)
        share_let_in = (
            1 - (_BEHAVIOUR_WEIGHTS[Behaviour.LEAVES] + _BEHAVIOUR_WEIGHTS[Behaviour.VANISHES]) / 100
        )
        letting_in_s = self.visitors * share_let_in / min(facts.admission_rate, turnover)
        return max(self.visitors / self.join_rate, letting_in_s) + self.mean_dwell_s + 2.0

    def is_far_back(self, position: int, seconds: float) -> bool:
        """Whether a visitor at that position is unlikely to be admitted within so many seconds.

        That still holds if a quarter of the visitors ahead give up.
        """
        facts = self.facts
        return position > 1.33 * facts.admission_rate * seconds + facts.burst


class VisitPlan(msgspec.Struct, frozen=True):
    """What one visitor does, and when."""

    number: int
    comes_at_s: float
    """Seconds after the start."""
    priority: int
    """The priority that the visitor asks for, with a pass if it needs one."""
    behaviour: Behaviour
    address: str
    metadata: dict[str, str | int | float | bool]
    acts_after_s: float
    """Seconds after joining at which the visitor leaves or stops sending heartbeats, if that is planned."""
    silence_s: float
    """Seconds without heartbeats of a visitor who returns: more than the interval, less than the timeout."""
    page_views: int
    dwell_s: float
    checks_after_leaving: bool
    """Whether the visitor checks the status once more after leaving."""
    used_pass: str = ""
    """The pass that the visitor presents; empty for none."""
    is_live: bool = False
    """Whether this visitor waits on a WebSocket even if others poll."""


def make_visit_plans(plan: Plan, random: Random) -> Iterator[VisitPlan]:
    """Plan every visitor, in order of arrival. Arrivals are a Poisson process with the join rate."""
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
