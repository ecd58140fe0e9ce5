"""Any interleaving of joins, leaves, silences, passes and changes of settings does what the model does."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.support.queue_model import QueueModel
from tests.support.scripted_queue import ScriptedQueue, new_id
from wr.model.join_denials import Denial
from wr.model.places import Admitted, Gone, Reason, Waiting
from wr.store.enqueue import Join, Joined

RATES = st.sampled_from(["0.3", "1", "2.5", "10", "100"])
PRIORITIES = st.integers(0, 3)
PEOPLE = st.sampled_from([b"", b"", b"", b"a" * 16, b"b" * 16, b"c" * 16])
PAUSES_MS = st.sampled_from([0, 1, 250, 250, 250, 999, 5_000, 31_000, 60_000, 3_600_000])


def outcome(joined: Joined) -> tuple[str, bytes]:
    place = joined.place
    if isinstance(place, Waiting):
        return ("new" if joined.is_new else "waiting"), joined.position_id
    if isinstance(place, Admitted):
        return "admitted", joined.position_id
    return ("full" if place == Denial.LINE_FULL else "closed"), b""


class QueueMachine(RuleBasedStateMachine):
    """Does everything to the store and to the model, and compares."""

    visitors = Bundle("visitors")
    client: Any = None
    prefix = ""

    @initialize(rate=RATES, room=st.integers(1, 8), longest=st.sampled_from([0, 0, 4, 12]))
    def open(self, rate: str, room: int, longest: int) -> None:
        self.queue = ScriptedQueue(self.client, self.prefix)
        self.model = QueueModel(Fraction(rate), room, longest)
        self.queue.configure(
            admission_rate=rate,
            max_active_users=room,
            max_queue_size=longest,
            session_timeout_seconds=30,
            heartbeat_timeout_seconds=60,
        )
        self.model.session_ms = 30_000
        self.everyone: list[bytes] = []
        self.allowance = Fraction(0)
        self.largest_burst = Fraction(0)
        self.history: list[tuple[Fraction, int]] = []
        self.admitted_order: list[bytes] = []

    @rule(target=visitors, joins=st.lists(st.tuples(PRIORITIES, PEOPLE), min_size=1, max_size=4))
    def join(self, joins: list[tuple[int, bytes]]) -> bytes:
        wishes = [Join(new_id(), b"", priority, b"x", person, b"") for priority, person in joins]
        expected = [
            self.model.join(wish.new_id, wish.priority, wish.person, self.queue.now_ms) for wish in wishes
        ]
        assert [outcome(joined) for joined in self.queue.join_many(wishes)] == expected
        self.everyone += [wish.new_id for wish in wishes]
        return wishes[-1].new_id

    @rule(visitor=visitors)
    def heartbeat(self, visitor: bytes) -> None:
        self.queue.heartbeat(visitor)
        self.model.heartbeat(visitor, self.queue.now_ms)

    @rule()
    def everyone_sends_a_heartbeat(self) -> None:
        if self.everyone:
            self.queue.heartbeat(*self.everyone)
        for visitor in self.everyone:
            self.model.heartbeat(visitor, self.queue.now_ms)

    @rule(visitor=visitors)
    def leave(self, visitor: bytes) -> None:
        expected = self.model.leave(visitor, self.queue.now_ms)
        assert self.queue.leave(visitor).ended_now == expected

    @rule(pause_ms=PAUSES_MS)
    def time_passes(self, pause_ms: int) -> None:
        self.queue.now_ms += pause_ms

    @rule(pause_ms=PAUSES_MS)
    def a_pass_runs(self, pause_ms: int) -> None:
        self.queue.now_ms += pause_ms
        self.allowance += (
            self.model.rate * (self.queue.now_ms - (self.model.filled_ms or self.queue.now_ms)) / 1000
        )
        self.largest_burst = max(self.largest_burst, self.model.rate, Fraction(1))
        dropped, over, admitted = self.model.tick(self.queue.now_ms)
        done = self.queue.admit()
        assert (set(done.dropped), set(done.ended), done.admitted) == (dropped, over, admitted)
        self.history.append((self.allowance, len(admitted)))
        self.admitted_order += admitted

    @rule(rate=RATES, room=st.integers(1, 8), longest=st.sampled_from([0, 4, 12]))
    def settings_change(self, rate: str, room: int, longest: int) -> None:
        self.queue.configure(admission_rate=rate, max_active_users=room, max_queue_size=longest)
        self.model.rate, self.model.room, self.model.longest = Fraction(rate), room, longest

    @rule(status=st.sampled_from(["active", "active", "paused", "maintenance"]))
    def status_changes(self, status: str) -> None:
        self.queue.configure(status=status)
        self.model.status = status

    @invariant()
    def everyone_stands_where_the_model_says(self) -> None:
        now_ms = self.queue.now_ms
        for visitor, polled in zip(self.everyone, self.queue.poll(*self.everyone), strict=True):
            assert polled.queue_length == len(self.model.waiting)
            word, number = self.model.state(visitor, now_ms)
            place = polled.place
            if isinstance(place, Waiting):
                assert (word, number) == ("waiting", place.position)
            elif isinstance(place, Admitted):
                assert (word, number) == ("admitted", place.expires_ms)
            elif isinstance(place, Gone):
                assert (word, number) == (place.reason.text, place.ended_ms)
            else:
                assert word == "unknown"

    @invariant()
    def admissions_never_exceed_the_rate_and_one_seconds_burst(self) -> None:
        # Judged apart from the model: from any pass to any later one.
        for start, (before, _) in enumerate(self.history):
            total = 0
            for allowance, admitted in self.history[start:]:
                total += admitted
                assert total <= allowance - before + self.largest_burst

    @invariant()
    def nobody_is_let_in_twice(self) -> None:
        assert len(set(self.admitted_order)) == len(self.admitted_order)

    def teardown(self) -> None:
        if hasattr(self, "queue"):
            self.queue.delete()


@pytest.mark.parametrize("examples", [60])
def test_every_interleaving_does_what_the_model_does(client: Any, prefix: str, examples: int) -> None:
    machine = type("Machine", (QueueMachine,), {"client": client, "prefix": prefix})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_reasons_are_spelled_as_the_model_spells_them() -> None:
    assert {reason.text for reason in Reason} >= {"heartbeat_timeout", "cancelled", "session_timeout"}
