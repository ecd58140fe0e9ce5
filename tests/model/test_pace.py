"""The estimated wait."""

import math

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from wr.model.pace import Pace, Second, estimated_wait_s, observe
from wr.model.queue import QueueConfig

QUEUE = QueueConfig(
    id="q",
    name="Q",
    target_url="https://x.example",
    admission_rate=10.0,
    max_active_users=1000,
    session_timeout_seconds=100,
)


def test_while_the_room_has_space_the_wait_is_the_position_over_the_rate() -> None:
    assert estimated_wait_s(1, QUEUE, 0, Pace()) == 1
    assert estimated_wait_s(100, QUEUE, 0, Pace()) == 10
    assert estimated_wait_s(101, QUEUE, 0, Pace()) == 11


def test_in_a_full_room_one_gets_in_when_one_leaves() -> None:
    assert estimated_wait_s(60, QUEUE, 1000, Pace(ended_per_s=2.0)) == 30


def test_before_anybody_left_a_full_room_turns_over_by_its_timeout() -> None:
    assert estimated_wait_s(100, msgspec.structs.replace(QUEUE, max_active_users=100), 100, Pace()) == 100


def test_the_room_fills_slower_when_people_leave_meanwhile() -> None:
    # 500 places free, filled at 10 - 5 a second: full after 100 s, 1000 people in; then 5 a second.
    assert estimated_wait_s(1000, QUEUE, 500, Pace(ended_per_s=5.0)) == 100
    assert estimated_wait_s(1500, QUEUE, 500, Pace(ended_per_s=5.0)) == 200


def test_people_who_leave_faster_than_the_rate_do_not_beat_it() -> None:
    assert estimated_wait_s(100, QUEUE, 1000, Pace(ended_per_s=50.0)) == 10


@given(
    st.integers(1, 10**6),
    st.integers(0, 10**5),
    st.floats(0, 10**4),
    st.floats(0.001, 10**5),
    st.integers(1, 10**5),
)
def test_an_estimate_is_a_whole_number_of_at_least_one_and_never_shorter_further_back(
    position: int, active: int, ended_per_s: float, rate: float, room: int
) -> None:
    queue = msgspec.structs.replace(QUEUE, admission_rate=rate, max_active_users=room)
    pace = Pace(ended_per_s=ended_per_s)
    wait = estimated_wait_s(position, queue, active, pace)
    assert isinstance(wait, int)
    assert wait >= 1
    assert estimated_wait_s(position + 1, queue, active, pace) >= wait
    assert wait >= math.floor(position / rate)


def test_the_pace_is_the_mean_of_the_last_minute() -> None:
    now_s = 1_800_000_000
    seconds = [Second(now_s - 70, 1000, 1000), Second(now_s - 59, 30, 0), Second(now_s - 1, 30, 6)]
    assert observe(seconds, now_s * 1000, 0) == Pace(admitted_per_s=1.0, ended_per_s=0.1)


def test_a_young_queue_is_measured_since_its_creation() -> None:
    now_ms = 1_800_000_010_000
    assert observe([Second(1_800_000_005, 50, 0)], now_ms, now_ms - 10_000).admitted_per_s == 5.0
