"""Who passes the gate while the store is away, by the queue's policy."""

from typing import Any

import pytest

from wr.model.gate_rules import OutagePolicy
from wr.model.queue_settings import QueueConfig
from wr.room.gate_sessions import GateSessionService


class Clock:
    """A clock moved by hand, in seconds."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def gate_sessions(clock: Clock) -> GateSessionService:
    """A service without a store: it decides on outages alone."""
    nothing: Any = None
    return GateSessionService(nothing, nothing, nothing, nothing, nothing, clock)


def queue(policy: OutagePolicy, **settings: Any) -> QueueConfig:
    return QueueConfig(id="q", name="Q", target_url="https://shop.example/", outage_policy=policy, **settings)


def let_in(
    house: GateSessionService, config: QueueConfig, clock: Clock, seconds: int, per_second: int = 10
) -> list[int]:
    """How many of those who ask pass in each second."""
    passed = []
    for second in range(seconds):
        count = 0
        for part in range(per_second):
            clock.now = second + part / per_second
            count += house.without_store(config)
        passed.append(count)
    return passed


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (queue(OutagePolicy.CLOSED, outage_grace_seconds=0), [0, 0, 0, 0, 0]),
        (queue(OutagePolicy.OPEN, outage_grace_seconds=0), [10, 10, 10, 10, 10]),
        (queue(OutagePolicy.OPEN, outage_grace_seconds=3), [0, 0, 0, 10, 10]),
        (queue(OutagePolicy.BUDGET, outage_grace_seconds=2, outage_rate=4.0), [0, 0, 7, 4, 4]),
        (queue(OutagePolicy.BUDGET, outage_grace_seconds=0, outage_rate=0.0), [0, 0, 0, 0, 0]),
    ],
    ids=["closed", "open", "open after a grace", "budget", "no budget"],
)
def test_the_policy_decides_from_the_moment_the_store_went_away(
    config: QueueConfig, expected: list[int]
) -> None:
    clock = Clock()
    assert let_in(gate_sessions(clock), config, clock, 5) == expected
