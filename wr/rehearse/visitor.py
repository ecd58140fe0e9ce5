"""Runs one simulated visitor through a visit: joins, waits, uses the session, leaves."""

import trio

from wr.rehearse.live_counts import LiveCounts
from wr.rehearse.machine_watch import MachineWatch
from wr.rehearse.observations import ObservedAnswer, Outcome, RequestKind
from wr.rehearse.operator import CannotRehearse
from wr.rehearse.plan import Plan, VisitPlan
from wr.rehearse.poll_waiting import PollWaiting
from wr.rehearse.stream_waiting import StreamWaiting
from wr.rehearse.visitor_requests import VisitorRequests

_LOOKS_BACK_AFTER_S = 1.0


async def run_visit(
    plan: Plan,
    visit_plan: VisitPlan,
    due_s: float,
    requests: VisitorRequests,
    counts: LiveCounts,
    watch: MachineWatch,
) -> None:
    """Follow a visit plan to its end. The visitor should have joined at `due_s`.

    Raises:
        CannotRehearse: the server gives all visitors of this machine the same address.
    """
    try:
        answer = await _join(plan, requests)
        watch.join_sent(due_s, requests.first_sent_s)
        if answer.outcome is Outcome.WAITING:
            counts.joined += 1
            is_live = plan.is_live or visit_plan.is_live
            waiting = (
                StreamWaiting(plan, visit_plan, requests)
                if is_live
                else PollWaiting(plan, visit_plan, requests, watch)
            )
            answer = await waiting.wait(answer)
        elif answer.outcome is Outcome.ADMITTED:
            counts.joined += 1
        else:
            return
        if answer.outcome is Outcome.ADMITTED:
            counts.admitted += 1
            if (await _use_session(plan, visit_plan, requests)).outcome is Outcome.LEFT:
                counts.finished += 1
                await _check_after_leaving(visit_plan, requests)
        elif answer.outcome is Outcome.LEFT:
            counts.left += 1
            await _check_after_leaving(visit_plan, requests)
        elif answer.outcome.is_gone:
            counts.expired += 1
        else:
            await _ask_until_answered(plan, requests, RequestKind.LEAVE)
            counts.left += 1
    finally:
        counts.over += 1


async def _join(plan: Plan, requests: VisitorRequests) -> ObservedAnswer:
    answer = await _ask_until_answered(plan, requests, RequestKind.JOIN)
    if answer.status == 429:
        raise CannotRehearse(
            "the server gives all visitors of this machine the same address and limits their joins (429): "
            "add this machine to its setting trusted_proxies, so that it reads X-Forwarded-For, or raise "
            "its limit_enqueue"
        )
    return answer


async def _use_session(plan: Plan, visit_plan: VisitPlan, requests: VisitorRequests) -> ObservedAnswer:
    """View some pages, then give up the session; returns the answer that says that the session has ended."""
    pause_s = visit_plan.dwell_s / (visit_plan.page_views + 1)
    for _ in range(visit_plan.page_views):
        answer = await requests.ask(RequestKind.ACTIVITY)
        if answer.outcome.is_gone:
            return answer
        await trio.sleep(pause_s)
    await requests.ask(RequestKind.SESSION)
    await trio.sleep(pause_s)
    return await _ask_until_answered(plan, requests, RequestKind.LEAVE)


async def _check_after_leaving(visit_plan: VisitPlan, requests: VisitorRequests) -> None:
    if visit_plan.checks_after_leaving:
        await trio.sleep(_LOOKS_BACK_AFTER_S)
        await requests.ask(RequestKind.STATUS)


async def _ask_until_answered(plan: Plan, requests: VisitorRequests, asked: RequestKind) -> ObservedAnswer:
    """Repeat a request until there is a proper answer, at most `plan.most_tries` times."""
    for _ in range(plan.most_tries - 1):
        answer = await requests.ask(asked)
        if not answer.outcome.is_fault or answer.status == 429:
            return answer
        await trio.sleep(requests.retry_s)
    return await requests.ask(asked)
