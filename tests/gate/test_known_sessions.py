"""What the gate reports: what was done since the last report, and nothing else."""

from wr.known_sessions import KnownSession, KnownSessions
from wr.store.gates import Passing


def known_sessions(count: int, most: int = 200_000) -> KnownSessions:
    sessions = KnownSessions(most)
    for number in range(count):
        sessions.keep(("q", number.to_bytes(16)), KnownSession(Passing(0, 1), 0.0))
    return sessions


def use(sessions: KnownSessions, queue_id: str, number: int, page_views: int = 0) -> None:
    key = (queue_id, number.to_bytes(16))
    known = sessions.get(key)
    assert known is not None
    sessions.count(key, known, 1, page_views)


def test_only_sessions_that_were_used_are_listed_however_many_are_known() -> None:
    sessions = known_sessions(1000)
    for number in (7, 3, 7):
        use(sessions, "q", number)
    (part,) = sessions.changed(100)
    assert part[0] == "q"
    assert [int.from_bytes(position_id) for position_id, _ in part[1]] == [7, 3]


def test_what_is_taken_is_reported_once_and_what_comes_after_it_next_time() -> None:
    sessions = known_sessions(1)
    use(sessions, "q", 0, page_views=1)
    use(sessions, "q", 0)
    ((_, [(position_id, known)]),) = sessions.changed(100)
    assert sessions.take(("q", position_id), known) == (2, 1)
    assert sessions.changed(100) == []
    use(sessions, "q", 0)
    assert sessions.take(("q", position_id), known) == (1, 0)


def test_what_a_failed_report_gives_back_is_listed_again_with_what_came_meanwhile() -> None:
    sessions = known_sessions(1)
    use(sessions, "q", 0, page_views=1)
    ((_, [(position_id, known)]),) = sessions.changed(100)
    hits, page_views = sessions.take(("q", position_id), known)
    use(sessions, "q", 0)
    sessions.count(("q", position_id), known, hits, page_views)
    assert len(sessions.changed(100)) == 1
    assert sessions.take(("q", position_id), known) == (2, 1)


def test_slices_are_of_one_queue_and_no_longer_than_asked() -> None:
    sessions = known_sessions(5)
    sessions.keep(("other", bytes(16)), KnownSession(Passing(0, 1), 0.0))
    for number in range(5):
        use(sessions, "q", number)
    use(sessions, "other", 0)
    assert [(queue_id, len(part)) for queue_id, part in sessions.changed(2)] == [
        ("q", 2),
        ("q", 2),
        ("q", 1),
        ("other", 1),
    ]


def test_sessions_that_make_room_for_others_leave_nothing_behind() -> None:
    sessions = known_sessions(2, most=2)
    use(sessions, "q", 0)
    sessions.keep(("q", b"new"), KnownSession(Passing(0, 1), 0.0))
    assert sessions.get(("q", bytes(16))) is None
    assert sessions.changed(100) == []
