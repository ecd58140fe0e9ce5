"""What a server remembers of what it acknowledged, for a store that forgets."""

from typing import Any

from wr.model.queue_settings import QueueConfig
from wr.recovery.acknowledged_state import AcknowledgedState
from wr.store.admit import AdmissionPass, Forgotten


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def settings(**more: Any) -> QueueConfig:
    return QueueConfig(
        **{"id": "q", "name": "Q", "target_url": "https://a.example/", "created_ms": 1, "version": 1, **more}
    )


def done(**more: Any) -> AdmissionPass:
    facts: dict[str, Any] = {
        "now_ms": 1_000,
        "config_version": 1,
        "waiting": 0,
        "active": 0,
        "more": False,
        "dropped": [],
        "ended": [],
        "admitted": [],
        "sessions_end_ms": 9_000,
        "waits_ms": [],
        "seconds": [],
        "waiting_by_priority": (0, 0, 0, 0),
    }
    return AdmissionPass(**{**facts, **more})


def test_whom_the_first_pass_let_in_is_remembered_although_the_settings_were_read_after_it() -> None:
    memory = AcknowledgedState(Clock())
    memory.learn("q", done(admitted=[bytes(16)]))
    memory.learn_settings(settings())
    assert [each.position_id for each in memory.admitted("q", 2_000)] == [bytes(16)]


def test_a_queue_that_was_made_anew_has_let_nobody_in() -> None:
    memory = AcknowledgedState(Clock())
    memory.learn_settings(settings())
    memory.learn("q", done(admitted=[bytes(16)], passes=7, waiting=3))
    assert (memory.known("q").passes, memory.known("q").waiting) == (7, 3)
    memory.learn_settings(settings(created_ms=2))
    assert memory.admitted("q", 2_000) == []
    assert (memory.known("q").created_ms, memory.known("q").passes) == (2, 0)


def test_older_settings_change_nothing() -> None:
    memory = AcknowledgedState(Clock())
    memory.learn_settings(settings(version=3, name="New"))
    memory.learn_settings(settings(version=2, name="Old"))
    assert [record.config.name for record in memory.records()] == ["New"]


def test_a_queue_is_dropped_when_it_is_not_listed_twice_in_a_row() -> None:
    memory = AcknowledgedState(Clock())
    memory.learn_settings(settings())
    memory.keep_only([])
    assert memory.remembers("q")
    memory.keep_only(["q"])
    memory.keep_only([])
    assert memory.remembers("q")
    memory.keep_only([])
    assert not memory.remembers("q")


def test_a_listed_queue_whose_settings_several_passes_did_not_find_is_lost() -> None:
    memory = AcknowledgedState(Clock())
    memory.learn_settings(settings())
    for _ in range(3):
        assert memory.lost(["q"]) == []
        memory.not_found("q")
    assert [record.config.id for record in memory.lost(["q"])] == ["q"]
    assert memory.lost([]) == []
    memory.learn("q", done())
    assert memory.lost(["q"]) == []


def test_a_server_that_ran_no_pass_for_a_while_may_be_outdated_until_it_has_run_some_again() -> None:
    clock = Clock()
    memory = AcknowledgedState(clock)
    memory.learn("q", done())
    assert not memory.may_be_outdated("q")
    clock.now_s += 3
    assert memory.may_be_outdated("q")
    memory.learn("q", done())
    clock.now_s += 1.5
    memory.learn("q", done())
    assert memory.may_be_outdated("q")
    for _ in range(3):
        clock.now_s += 1.5
        memory.learn("q", done())
    assert not memory.may_be_outdated("q")


def test_those_let_in_are_to_be_told_once_each_time_the_store_forgets() -> None:
    memory = AcknowledgedState(Clock())
    memory.learn_settings(settings())
    memory.learn("q", done(forgotten=Forgotten(900, 4_000, 5, 0)))
    assert memory.to_recall() == [("q", 900)]
    memory.was_recalled("q", 900)
    memory.learn("q", done(forgotten=Forgotten(900, 4_000, 5, 2)))
    assert memory.to_recall() == []
    memory.learn("q", done(forgotten=Forgotten(2_000, 5_000, 5, 0)))
    assert memory.to_recall() == [("q", 2_000)]
