"""The estimated wait."""

import math

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from wr.model.queue_settings import QueueConfig
from wr.model.wait_estimate import Pace, Second, forecast, observe

QUEUE = QueueConfig(
    id="q",
    name="Q",
    target_url="https://x.example",
    admission_rate=10.0,
    max_active_users=1000,
    session_timeout_seconds=100,
)


def test_while_the_room_has_space_the_wait_is_the_position_over_the_rate() -> None:
    assert forecast(QUEUE, 0, Pace()).wait_s(1) == 1
    assert forecast(QUEUE, 0, Pace()).wait_s(100) == 10
    assert forecast(QUEUE, 0, Pace()).wait_s(101) == 11


def test_in_a_full_room_one_gets_in_when_one_leaves() -> None:
    # A thousand sessions of 500 s on average free two places a second.
    slow = msgspec.structs.replace(QUEUE, session_timeout_seconds=3600)
    assert forecast(slow, 1000, Pace(ending_per_s=0.002)).wait_s(60) == 30


def test_a_full_room_turns_over_by_its_timeout_at_least() -> None:
    full = msgspec.structs.replace(QUEUE, max_active_users=100)
    assert forecast(full, 100, Pace()).wait_s(100) == 100
    assert forecast(full, 100, Pace(ending_per_s=0.0001)).wait_s(100) == 100


def test_the_room_fills_slower_when_people_leave_meanwhile() -> None:
    # Sessions last 200 s, so that a full room of 1000 frees 5 places a second. From 500 people on, 10 - 2.5
    # a second more at first and 10 - 5 at last: full after 200 s × ln 1.5 = 81.1 s, 811 people in.
    queue = msgspec.structs.replace(QUEUE, session_timeout_seconds=3600)
    assert forecast(queue, 500, Pace(ending_per_s=0.005)).wait_s(800) == 80
    assert forecast(queue, 500, Pace(ending_per_s=0.005)).wait_s(1811) == 282


def test_people_who_leave_faster_than_the_rate_do_not_beat_it() -> None:
    assert forecast(QUEUE, 1000, Pace(ending_per_s=0.05)).wait_s(100) == 10


def test_a_room_that_holds_more_than_it_may_is_estimated_as_full() -> None:
    assert forecast(QUEUE, 2000, Pace()).wait_s(60) == forecast(QUEUE, 1000, Pace()).wait_s(60)


@given(
    st.integers(1, 10**6),
    st.integers(0, 10**5),
    st.floats(0, 10**4),
    st.floats(0.001, 10**5),
    st.integers(1, 10**5),
)
def test_an_estimate_is_a_whole_number_of_at_least_one_and_never_shorter_further_back(
    position: int, active: int, ending_per_s: float, rate: float, room: int
) -> None:
    queue = msgspec.structs.replace(QUEUE, admission_rate=rate, max_active_users=room)
    pace = Pace(ending_per_s=ending_per_s)
    wait = forecast(queue, active, pace).wait_s(position)
    assert isinstance(wait, int)
    assert wait >= 1
    assert forecast(queue, active, pace).wait_s(position + 1) >= wait
    assert wait >= math.floor(position / rate)


def test_the_pace_is_the_mean_of_the_last_minute() -> None:
    now_s = 1_800_000_000
    seconds = [Second(now_s - 70, 1000, 1000), Second(now_s - 59, 30, 0), Second(now_s - 1, 30, 0)]
    assert observe(seconds, now_s * 1000, 0, 60) == Pace(admitted_per_s=1.0, ending_per_s=0.0)


def test_how_long_sessions_last_is_known_soon_after_the_doors_open() -> None:
    """Ten a second came in over ten seconds; each stays five seconds, so half of them have left."""
    now_s = 1_800_000_000
    seconds = [Second(now_s - 10 + n, 10, 10 if n >= 5 else 0) for n in range(10)]
    pace = observe(seconds, now_s * 1000, 0, 50)
    # Whoever is still inside has been counted for the time until now: 50 × 5 s and 50 × 2.5 s.
    assert pace.ending_per_s == 50 / 375


def test_how_long_sessions_last_does_not_depend_on_how_long_nobody_was_there() -> None:
    now_s = 1_800_000_000
    seconds = [Second(now_s - 3, 10, 0), Second(now_s - 1, 0, 5)]
    assert observe(seconds, now_s * 1000, 0, 5) == observe(
        [Second(now_s - 50, 0, 0), *seconds], now_s * 1000, 0, 5
    )
    assert observe(seconds, now_s * 1000, 0, 5).ending_per_s == 5 / (5 + 10 + 7.5)


def test_a_young_queue_is_measured_since_its_creation() -> None:
    now_ms = 1_800_000_010_000
    assert observe([Second(1_800_000_005, 50, 0)], now_ms, now_ms - 10_000).admitted_per_s == 5.0
