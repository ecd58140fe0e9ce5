"""Admin calls of a rehearsal: reads the queue's settings, figures and published keys, and issues passes."""

import time
from collections.abc import Callable, Iterable
from functools import partial

import msgspec
import trio

from wr.api.passes.messages import IssuedPassesResponse
from wr.client.admin_client import AdminClient, AdminFailure
from wr.client.pass_issuing import PassOrder, issue_all
from wr.rehearse.client import Client, Unanswered
from wr.rehearse.plan import Plan, QueueFacts, VisitPlan

_SPARE_S = 3600
"""Seconds for which passes are valid beyond the expected length of the run."""


class CannotRehearse(Exception):
    """The rehearsal cannot run. The message is one line with the reason and what to do about it."""


class QueueState(msgspec.Struct, frozen=True):
    """A queue's settings, and how many visitors wait and have a session."""

    facts: QueueFacts
    waiting: int
    active: int


async def read_queue_state(admin: AdminClient, queue_id: str) -> QueueState:
    """Read a queue's settings and figures.

    Raises:
        CannotRehearse: they cannot be read, or there is no such queue.
    """
    try:
        queues = (await trio.to_thread.run_sync(admin.queues, abandon_on_cancel=True)).queues
    except AdminFailure as failure:
        raise CannotRehearse(str(failure)) from failure
    for found in queues:
        if found.queue.id == queue_id:
            facts = {name: getattr(found.queue, name) for name in QueueFacts.__struct_fields__}
            return QueueState(QueueFacts(**facts), found.stats.current_waiting, found.stats.current_active)
    others = ", ".join(found.queue.id for found in queues) or "none yet"
    raise CannotRehearse(f"there is no queue '{queue_id}' at {admin.url}; there are: {others}")


def check_queue_admits(facts: QueueFacts) -> None:
    """Refuse a queue that admits no visitors.

    Raises:
        CannotRehearse: the queue is paused or in maintenance.
    """
    if facts.status != "active":
        raise CannotRehearse(
            f"queue '{facts.id}' admits no visitors, its status is {facts.status}. "
            f"Change it: wr queue update {facts.id} --status active"
        )


async def issue_passes(
    admin: AdminClient, plan: Plan, visit_plans: Iterable[VisitPlan], *, tell: Callable[[str], None]
) -> dict[int, str]:
    """Issue passes for the visitors who need one, to join or for their priority.

    Returns the passes by the visitors' numbers. One call issues up to 1,000. If the server limits calls,
    waits and reports that with `tell`.

    Raises:
        CannotRehearse: the server refuses to issue passes.
    """
    numbers: dict[int, list[int]] = {}
    for visit_plan in visit_plans:
        if plan.facts.takes_pass(visit_plan.priority):
            numbers.setdefault(visit_plan.priority, []).append(visit_plan.number)
    passes: dict[int, str] = {}
    for priority, needing in numbers.items():
        wish = PassOrder(
            queue_id=plan.facts.id,
            # Different from the visitors' user ids: a user id that a pass names is reserved for its bearer.
            subject=f"rehearsal-{plan.run_id}-priority-{priority}",
            expires_in_s=int(plan.expected_s) * 4 + _SPARE_S,
            count=len(needing),
            rest={"priority": priority, "uses": 1},
        )
        tokens: list[str] = []

        def take(answer: IssuedPassesResponse, tokens: list[str] = tokens) -> None:
            tokens.extend(each.pass_ for each in answer.passes)

        issue = partial(issue_all, admin, wish, take, tell=tell, sleep=time.sleep, clock=time.monotonic)
        try:
            await trio.to_thread.run_sync(issue, abandon_on_cancel=True)
        except AdminFailure as failure:
            raise CannotRehearse(f"no passes for visitors of priority {priority}: {failure}") from failure
        passes.update(zip(needing, tokens, strict=True))
    return passes


async def published_keys(client: Client) -> dict[str, object] | None:
    """Read the key set that verifies session tokens (RFC 7517); None if it cannot be read."""
    try:
        response = await client.send(client.make(b"GET", b"/.well-known/jwks.json"))
        return msgspec.json.decode(response.body, type=dict[str, object])
    except (Unanswered, msgspec.DecodeError):
        return None
