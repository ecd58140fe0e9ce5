"""What the gate reports: what was done since the last report, and nothing else."""

import math

from wr.model.places import Admitted
from wr.model.session_binding import SessionCaller
from wr.room.known_sessions import KnownSession, KnownSessions
from wr.store.gate import GateCall

CALLER = SessionCaller("0badcafe", "n12345678")


def known_sessions(count: int, most: int = 200_000) -> KnownSessions:
    sessions = KnownSessions(most)
    for number in range(count):
        sessions.keep(("q", number.to_bytes(16)), KnownSession(Admitted(0, 1), 0.0))
    return sessions


def use(sessions: KnownSessions, queue_id: str, number: int, page_views: int = 0) -> None:
    key = (queue_id, number.to_bytes(16))
    known = sessions.get(key)
    assert known is not None
    sessions.count(key, known, 1, page_views, (CALLER,))


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
    assert sessions.take(("q", position_id), known) == GateCall(position_id, 2, 1, (CALLER,))
    assert sessions.changed(100) == []
    use(sessions, "q", 0)
    assert sessions.take(("q", position_id), known) == GateCall(position_id, 1, 0, (CALLER,))


def test_what_a_failed_report_gives_back_is_listed_again_with_what_came_meanwhile() -> None:
    sessions = known_sessions(1)
    use(sessions, "q", 0, page_views=1)
    ((_, [(position_id, known)]),) = sessions.changed(100)
    failed = sessions.take(("q", position_id), known)
    use(sessions, "q", 0)
    sessions.count(("q", position_id), known, failed.hits, failed.page_views, failed.callers)
    assert len(sessions.changed(100)) == 1
    assert sessions.take(("q", position_id), known) == GateCall(position_id, 2, 1, (CALLER,))


def test_slices_are_of_one_queue_and_no_longer_than_asked() -> None:
    sessions = known_sessions(5)
    sessions.keep(("other", bytes(16)), KnownSession(Admitted(0, 1), 0.0))
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
    sessions.keep(("q", b"new"), KnownSession(Admitted(0, 1), 0.0))
    assert sessions.get(("q", bytes(16))) is None
    assert sessions.changed(100) == []


def test_a_caller_is_asked_about_until_the_store_allows_its_mark_and_again_once_it_refuses() -> None:
    known = KnownSession(Admitted(0, 1), 0.0)
    neighbour = SessionCaller("feedbeef", CALLER.mark)
    assert not known.admits(CALLER)
    known.allow(CALLER)
    assert (known.admits(CALLER), known.admits(neighbour)) == (True, True)
    known.refuse({CALLER.mark}, 5.0)
    assert (known.admits(CALLER), known.refused_at(neighbour)) == (False, 5.0)
    known.allow(neighbour)
    assert (known.admits(CALLER), known.refused_at(CALLER)) == (True, -math.inf)


def test_callers_of_a_session_that_is_not_bound_need_not_be_asked_about() -> None:
    assert KnownSession(Admitted(0, 1), 0.0).admits(SessionCaller("0badcafe", ""))


def test_what_is_remembered_of_one_session_is_bounded() -> None:
    sessions = known_sessions(1)
    key = ("q", bytes(16))
    known = sessions.get(key)
    assert known is not None
    for number in range(1000):
        caller = SessionCaller(f"{number:08x}", f"n{number:08x}")
        sessions.count(key, known, 1, 0, (caller,))
        known.allow(caller)
        known.refuse({caller.mark}, float(number))
        known.allow(SessionCaller("0badcafe", f"n{number:08d}"))
    assert (len(known.used_by), len(known.marks)) == (32, 8)
    assert known.refused is not None
    assert len(known.refused) <= 64
