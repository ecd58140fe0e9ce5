"""Sessions at the gate: what is counted, where it is used from, and what it is bound to."""

import pytest

from tests.store.conftest import MakeQueue
from tests.support.scripted_queue import ScriptedQueue, new_id
from wr.model.places import Admitted, Gone, Reason
from wr.model.session_binding import SessionBinding, caller_of
from wr.store.enqueue import Join
from wr.store.gate import GateCall, Gated
from wr.store.visit import VisitKind

HOUR_S = 3600


def enter(queue: ScriptedQueue) -> bytes:
    visitor = new_id()
    queue.join_many([Join(visitor, b"", 0, b"x", b"", b"")])
    assert visitor in queue.admit().admitted
    return visitor


def use(
    queue: ScriptedQueue, visitor: bytes, *addresses: str, binding: str = "network", user_agent: str = ""
) -> Gated:
    """Look at one page from these addresses."""
    callers = [caller_of(SessionBinding(binding), address, user_agent) for address in addresses]
    return queue.gate(GateCall(visitor, 1, 1, callers))[0]


def visit_of(queue: ScriptedQueue, visitor: bytes) -> Admitted:
    found = queue.find(visitor)
    assert found is not None
    assert isinstance(found.place, Admitted)
    return found.place


def test_hits_and_page_views_of_one_call_are_counted(make_queue: MakeQueue) -> None:
    queue = make_queue()
    visitor = enter(queue)
    started = queue.now_ms
    queue.advance(5)
    assert queue.gate(GateCall(visitor, 3, 2)) == [Gated(Admitted(started, started + 3_600_000))]
    assert visit_of(queue, visitor) == Admitted(started, started + 3_600_000, started + 5_000, 2, 0)
    queue.advance(1)
    queue.gate(GateCall(visitor))
    assert visit_of(queue, visitor).last_activity_ms == started + 5_000


def test_a_session_that_is_over_or_was_never_there_is_told_apart(make_queue: MakeQueue) -> None:
    queue = make_queue(session_timeout_seconds=10)
    visitor = enter(queue)
    queue.leave(visitor, Reason.TERMINATED)
    gone, unknown = queue.gate(GateCall(visitor, 1), GateCall(new_id(), 1))
    assert gone.place == Gone(queue.now_ms, Reason.TERMINATED)
    assert unknown == Gated(unknown.place)


def test_each_address_counts_once_and_32_at_most(make_queue: MakeQueue) -> None:
    queue = make_queue()
    visitor = enter(queue)
    for _ in range(2):
        use(queue, visitor, "203.0.113.1", "203.0.113.2", binding="none")
    assert visit_of(queue, visitor).addresses == 2
    for number in range(100):
        use(queue, visitor, f"198.51.100.{number}", binding="none")
    assert visit_of(queue, visitor).addresses == 32
    assert visit_of(queue, visitor).page_views == 102


def test_the_sixth_address_makes_a_session_a_shared_one_and_no_other(make_queue: MakeQueue) -> None:
    queue = make_queue()
    visitor = enter(queue)
    shared = [use(queue, visitor, f"203.0.113.{number}").is_shared_now for number in range(10)]
    assert shared == [number == 5 for number in range(10)]


def test_activity_that_is_reported_elsewhere_leaves_what_is_known_of_addresses(make_queue: MakeQueue) -> None:
    queue = make_queue(session_binding="network")
    visitor = enter(queue)
    for network in range(4):
        use(queue, visitor, f"203.0.{network}.1")
    queue.visit(visitor, VisitKind.PAGE_VIEW)
    assert (visit_of(queue, visitor).addresses, visit_of(queue, visitor).page_views) == (4, 5)
    assert use(queue, visitor, "203.0.99.1").refused


def test_a_session_bound_to_networks_is_open_to_four_in_an_hour(make_queue: MakeQueue) -> None:
    queue = make_queue(session_binding="network")
    visitor = enter(queue)
    answers = [use(queue, visitor, f"203.0.{network}.1") for network in range(250)]
    assert [bool(gated.refused) for gated in answers] == [network >= 4 for network in range(250)]
    assert all(isinstance(gated.place, Admitted) for gated in answers)
    assert answers[4].refused == {caller_of(SessionBinding.NETWORK, "203.0.4.1", "").mark}
    # What strangers do is not counted, and the four go on from any address of theirs.
    assert visit_of(queue, visitor).page_views == 4
    assert not any(use(queue, visitor, f"203.0.{network}.77").refused for network in range(4))


def test_a_network_left_an_hour_ago_makes_room_for_another(make_queue: MakeQueue) -> None:
    queue = make_queue(session_binding="network", session_timeout_seconds=5 * HOUR_S)
    visitor = enter(queue)
    for network in range(4):
        use(queue, visitor, f"203.0.{network}.1")
    queue.advance(HOUR_S - 1)
    for network in range(3):
        use(queue, visitor, f"203.0.{network}.1")
    assert use(queue, visitor, "198.51.100.1").refused
    queue.advance(1)
    assert not use(queue, visitor, "198.51.100.1").refused
    # The one that was left is a stranger now, and those that are used stay however long that goes on.
    assert use(queue, visitor, "203.0.3.1").refused
    assert not any(use(queue, visitor, f"203.0.{network}.1").refused for network in range(3))


def test_a_session_bound_to_browsers_is_open_to_two_wherever_they_are(make_queue: MakeQueue) -> None:
    queue = make_queue(session_binding="browser")
    visitor = enter(queue)
    for network in range(10):
        browser = ("one", "two")[network % 2]
        assert not use(queue, visitor, f"203.0.{network}.1", binding="browser", user_agent=browser).refused
    assert use(queue, visitor, "203.0.1.1", binding="browser", user_agent="three").refused


@pytest.mark.parametrize("binding", ["none", "browser"])
def test_marks_of_another_kind_bind_nothing(make_queue: MakeQueue, binding: str) -> None:
    queue = make_queue(session_binding="network")
    visitor = enter(queue)
    for network in range(4):
        use(queue, visitor, f"203.0.{network}.1")
    queue.configure(session_binding=binding)
    assert not use(queue, visitor, "198.51.100.1").refused
    assert not use(queue, visitor, "198.51.100.1", binding=binding, user_agent="one").refused


def test_one_report_says_of_each_of_its_callers_whether_it_is_refused(make_queue: MakeQueue) -> None:
    queue = make_queue(session_binding="network")
    visitor = enter(queue)
    gated = use(queue, visitor, *(f"203.0.{network}.1" for network in range(6)))
    assert gated.refused == {
        caller_of(SessionBinding.NETWORK, f"203.0.{network}.1", "").mark for network in (4, 5)
    }
    assert (visit_of(queue, visitor).page_views, visit_of(queue, visitor).addresses) == (1, 6)


def test_what_is_kept_of_one_session_is_bounded(make_queue: MakeQueue) -> None:
    queue = make_queue(session_binding="network")
    visitor = enter(queue)
    for number in range(500):
        use(queue, visitor, f"203.{number // 256}.{number % 256}.1")
    record = queue.client.hget(queue.keys.queue(queue.queue_id, "records")[0], visitor)
    assert len(record) < 400
