"""One visitor: joins, waits, uses the session, leaves."""

import trio

from wr.rehearse.live_counts import Tally
from wr.rehearse.machine_watch import Watch
from wr.rehearse.observations import ObservedAnswer, Outcome, RequestKind
from wr.rehearse.operator import CannotPlay
from wr.rehearse.plan import Plan, Script
from wr.rehearse.poll_waiting import Polling
from wr.rehearse.stream_waiting import Listening
from wr.rehearse.visitor_requests import Conversation

_LOOKS_BACK_AFTER_S = 1.0


async def play(
    plan: Plan, script: Script, due_s: float, talk: Conversation, tally: Tally, watch: Watch
) -> None:
    """Play a visitor's script to its end; the visitor was to come at `due_s`.

    Raises:
        CannotPlay: the server takes all visitors of this machine for one.
    """
    try:
        answer = await _join(plan, talk)
        watch.join_left(due_s, talk.first_sent_s)
        if answer.outcome is Outcome.WAITING:
            tally.joined += 1
            is_live = plan.is_live or script.is_live
            waiting = Listening(plan, script, talk) if is_live else Polling(plan, script, talk, watch)
            answer = await waiting.wait(answer)
        elif answer.outcome is Outcome.ADMITTED:
            tally.joined += 1
        else:
            return
        if answer.outcome is Outcome.ADMITTED:
            tally.admitted += 1
            if (await _use_session(plan, script, talk)).outcome is Outcome.LEFT:
                tally.finished += 1
                await _look_back(script, talk)
        elif answer.outcome is Outcome.LEFT:
            tally.left += 1
            await _look_back(script, talk)
        elif answer.outcome.is_gone:
            tally.expired += 1
        else:
            await _insist(plan, talk, RequestKind.LEAVE)
            tally.left += 1
    finally:
        tally.over += 1


async def _join(plan: Plan, talk: Conversation) -> ObservedAnswer:
    answer = await _insist(plan, talk, RequestKind.JOIN)
    if answer.status == 429:
        raise CannotPlay(
            "the server takes all visitors of this machine for one and limits their joins (429): "
            "let it believe this machine's X-Forwarded-For (its setting trusted_proxies) or raise its "
            "limit_enqueue"
        )
    return answer


async def _use_session(plan: Plan, script: Script, talk: Conversation) -> ObservedAnswer:
    """Look at some pages, then give the session up; returns the answer that says that it is over."""
    pause_s = script.dwell_s / (script.page_views + 1)
    for _ in range(script.page_views):
        answer = await talk.ask(RequestKind.ACTIVITY)
        if answer.outcome.is_gone:
            return answer
        await trio.sleep(pause_s)
    await talk.ask(RequestKind.SESSION)
    await trio.sleep(pause_s)
    return await _insist(plan, talk, RequestKind.LEAVE)


async def _look_back(script: Script, talk: Conversation) -> None:
    if script.looks_back:
        await trio.sleep(_LOOKS_BACK_AFTER_S)
        await talk.ask(RequestKind.STATUS)


async def _insist(plan: Plan, talk: Conversation, asked: RequestKind) -> ObservedAnswer:
    """Ask until there is an answer, or it is hopeless."""
    for _ in range(plan.most_tries - 1):
        answer = await talk.ask(asked)
        if not answer.outcome.is_fault or answer.status == 429:
            return answer
        await trio.sleep(talk.retry_s)
    return await talk.ask(asked)
