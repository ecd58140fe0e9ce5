"""A rehearsal in virtual time, against a server that answers the same for ever."""

import io
from random import Random

import msgspec
import pytest
import trio
import trio.testing
from rich.console import Console

from tests.rehearse.imagined_room import FACTS
from wr.client.admin_client import AdminClient, AdminKey
from wr.rehearse.client import HttpClient, Request, Response, parse_origin
from wr.rehearse.observations import Observations, Outcome, RequestKind
from wr.rehearse.operator import QueueState
from wr.rehearse.plan import Behaviour, Plan, make_visit_plans
from wr.rehearse.rehearsal import Rehearsal
from wr.rehearse.report import show_progress

NOWHERE = "http://127.0.0.1:1"
IN_LINE = msgspec.json.encode(
    {
        "position_id": "p",
        "status": "waiting",
        "position": 1000,
        "estimated_wait_seconds": 100,
        "token": "t",
        "next_heartbeat_seconds": 5,
    }
)


class Unmoved(HttpClient):
    """A server that answers everything with the same place in line."""

    def __init__(self) -> None:
        super().__init__(parse_origin(NOWHERE), most_connections=1, patience_s=1, clock=trio.current_time)
        self.status = 200
        self.in_line = IN_LINE

    async def send(self, request: Request) -> Response:
        self.requests += 1
        sent_s = trio.current_time()
        await trio.sleep(0.01)
        is_join = request.head.target.endswith(b"enqueue")
        return Response(200 if is_join else self.status, self.in_line, b"", sent_s, trio.current_time())


def a_rehearsal(client: HttpClient, visitors: int = 40, behaviour: Behaviour = Behaviour.STAYS) -> Rehearsal:
    plan = Plan(FACTS, visitors, 20.0, 1, "test")
    visit_plans = [
        msgspec.structs.replace(visit_plan, behaviour=behaviour)
        for visit_plan in make_visit_plans(plan, Random(1))
    ]
    return Rehearsal(plan, visit_plans, client, AdminClient(NOWHERE, AdminKey("", "")), trio.current_time)


async def played(rehearsal: Rehearsal) -> Observations:
    return await rehearsal.run(QueueState(FACTS, 0, 0))


async def test_a_line_that_never_moves_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    rehearsal = a_rehearsal(Unmoved())
    seen = await played(rehearsal)
    assert seen.stalled_s > rehearsal.patience_s
    assert not seen.is_interrupted
    assert seen.facts_after is None
    assert len(seen.visits) == 40


async def test_a_visitor_has_the_priority_that_the_server_says(
    autojump_clock: trio.testing.MockClock,
) -> None:
    client = Unmoved()
    seen = await played(a_rehearsal(client))
    granted = {visit.priority for visit in seen.visits}
    assert granted == {0, 1, 2, 3}, "a server that does not say so lowers nothing"
    client.in_line = msgspec.json.encode({**msgspec.json.decode(IN_LINE), "priority": 1})
    seen = await played(a_rehearsal(client))
    assert {visit.priority for visit in seen.visits} == {1}


async def test_heartbeats_are_sent_as_often_as_the_server_said(
    autojump_clock: trio.testing.MockClock,
) -> None:
    seen = await played(a_rehearsal(Unmoved(), visitors=1))
    assert seen.effort.heartbeats == seen.duration_s // 5
    assert seen.effort.late_heartbeats == 0
    assert seen.effort.latest_heartbeat_s == 0


async def test_of_a_long_wait_few_answers_are_kept_and_the_last_is_among_them(
    autojump_clock: trio.testing.MockClock,
) -> None:
    seen = await played(a_rehearsal(Unmoved(), visitors=1))
    answers = seen.visits[0].answers
    assert len(answers) < seen.effort.heartbeats / 2
    assert answers[0].asked is RequestKind.JOIN
    assert answers[-1].received_s > seen.duration_s - 6
    # What is left out must not look like silence.
    assert max(answer.silent_s for answer in answers) < 5


@pytest.mark.parametrize(
    ("behaviour", "asked"), [(Behaviour.STAYS, RequestKind.HEARTBEAT), (Behaviour.LEAVES, RequestKind.LEAVE)]
)
async def test_a_fault_is_kept_and_followed_by_another_try_a_second_later(
    autojump_clock: trio.testing.MockClock, behaviour: Behaviour, asked: RequestKind
) -> None:
    client = Unmoved()
    client.status = 500
    seen = await played(a_rehearsal(client, visitors=1, behaviour=behaviour))
    first, second = [answer for answer in seen.visits[0].answers if answer.asked is asked][:2]
    assert first.outcome is Outcome.FAILED
    assert second.sent_s - first.received_s == pytest.approx(1.0)
    if asked is RequestKind.HEARTBEAT:
        # The first may have arrived all the same: from then on nobody can say how long the silence is.
        assert first.silent_s > 0
        assert second.silent_s == 0


async def test_a_success_that_the_contract_does_not_give_is_a_fault(
    autojump_clock: trio.testing.MockClock,
) -> None:
    seen = await played(a_rehearsal(Unmoved(), visitors=1, behaviour=Behaviour.LEAVES))
    (first, *_) = [answer for answer in seen.visits[0].answers if answer.asked is RequestKind.LEAVE]
    assert (first.outcome, first.reason) == (Outcome.FAILED, "unexpected: waiting")


async def test_counts_are_shown_on_a_terminal_and_in_a_file(autojump_clock: trio.testing.MockClock) -> None:
    for is_terminal in (True, False):
        console = Console(file=io.StringIO(), force_terminal=is_terminal, width=150)
        rehearsal = a_rehearsal(Unmoved())
        with trio.move_on_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(show_progress, console, rehearsal, trio.current_time)
                await played(rehearsal)
        assert isinstance(console.file, io.StringIO)
        assert "joined 40  waiting 40  admitted 0" in console.file.getvalue()
