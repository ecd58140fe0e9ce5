"""A run: a server, the tasks that send cases to it, the watch, and the finding if a promise was broken."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import trio

from tests.contract.helpers import claims_of
from tests.hostile.fuzzing import visitor, watch
from tests.hostile.fuzzing.corpus import QUEUE, Sample, corpus
from tests.hostile.fuzzing.delivery import deliver, fault_in
from tests.hostile.fuzzing.mutations import Case, make_case
from tests.hostile.fuzzing.watch import Fault, FaultFound, Figures, Watch
from tests.support.processes import ADMIN_KEY, ServerProcess, running_server_process
from tests.support.site import Site
from wr.server.settings import describe_settings

SENDERS = 12
"""Connections at once that send cases. Another visitor's turn comes after theirs: with many more, or on a
machine that is ten times as slow, a second would say how long their queue is."""
_SUSPECTS = 400
"""Cases that are kept for a fault whose cause is not known: some 5 seconds' worth."""
_SETTLES_S = 0.15
"""After this what a case has done to a server is seen."""
_TRIED_AT_ONCE = 100
_LONGEST_SEARCH_S = 60.0
_LANES = {"fast": "on", "general": "off"}


@dataclass(frozen=True)
class Plan:
    """What to send, to which lane, and for how long."""

    seed: int
    lane: str
    """`fast` or `general`."""
    targets: tuple[str, ...]
    seconds: float
    most_growth_mib: float = watch.MOST_GROWTH_MIB


@dataclass(frozen=True)
class Finding:
    """A broken promise, and the cases that may have broken it, the latest last."""

    fault: Fault
    suspects: tuple[Case, ...]
    is_certain: bool
    """Whether the one suspect there is did it: by its own answer, or because it did it again alone."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    figures: Figures
    finding: Finding | None


Progress = Callable[[str], None]


def fuzz(plan: Plan, folder: Path, say: Progress) -> Outcome:
    """Run a server of the plan's lane in `folder` and send it cases until the time is over.

    A broken promise ends it before. Then, if it is not clear which case did it, look for it for a minute at
    most, on other servers.
    """
    figures = Figures()
    samples = {target: corpus(target) for target in plan.targets}
    with _server(folder / "server", plan.lane) as (server, facts):
        sending = _Sending(plan, server, facts, samples, figures, say)
        finding = trio.run(sending.run)
    if finding is not None and not finding.is_certain:
        say(f"{finding.fault.kind}: looking for the case among {len(finding.suspects)}")
        finding = _narrowed(finding, plan, folder, say)
    return Outcome(figures, finding)


def replay(cases: Sequence[Case], plan: Plan, folder: Path, say: Progress) -> Outcome:
    """Send cases that were kept, one after another and then all at once, to a new server."""
    figures = Figures()
    with _server(folder / "replay", plan.lane) as (server, facts):
        sending = _Sending(plan, server, facts, {}, figures, say)
        finding = trio.run(sending.send_again, cases)
    if finding is not None and len(cases) == 1:
        finding = replace(finding, suspects=tuple(cases), is_certain=True)
    return Outcome(figures, finding)


@contextmanager
def _server(folder: Path, lane: str) -> Iterator[tuple[ServerProcess, dict[str, str]]]:
    """Run a server of a lane; gives what stands in braces in the samples, too."""
    settings = {setting.name: "0" for setting in describe_settings() if setting.name.startswith("limit_")}
    settings |= {
        "fast_lane": _LANES[lane],
        "webhook_forbidden": "0.0.0.0/0,::/0",
        "admission_interval": "0.05",
    }
    if any(setting.name == "http2" for setting in describe_settings()):
        settings["http2"] = "on"
    with running_server_process(folder, **settings) as server, server.site() as site:
        yield server, _set_up(site)


def _set_up(site: Site) -> dict[str, str]:
    """Make the queues and visitors that the samples speak of."""
    patient: dict[str, Any] = {"heartbeat_timeout_seconds": 86_400}
    site.make_queue(id=QUEUE, status="paused", **patient)
    site.make_queue(id="concert-1", status="paused", **patient)
    site.make_queue(id="open", admission_rate=1000, session_timeout_seconds=86_400)
    site.make_queue(id=visitor.QUEUE, status="paused")
    waiting = site.join(QUEUE).json()
    admitted = site.admitted("open", site.join("open").json()["token"])
    return {
        "token": waiting["token"],
        "position_id": waiting["position_id"],
        "session_id": claims_of(admitted["session_token"])["sub"],
        "session_token": admitted["session_token"],
        "key": ADMIN_KEY,
    }


class _Sending:
    """The tasks of one run against one server."""

    def __init__(
        self,
        plan: Plan,
        server: ServerProcess,
        facts: dict[str, str],
        samples: dict[str, Sequence[Sample]],
        figures: Figures,
        say: Progress,
    ) -> None:
        self._plan = plan
        self._server = server
        self._facts = facts
        self._samples = samples
        self._figures = figures
        self._say = say
        self._number = 0
        self._sent: Counter[str] = Counter()
        self._under_way: dict[int, Case] = {}
        self._done: deque[Case] = deque(maxlen=_SUSPECTS)
        self._watch = Watch(server, figures, most_growth_mib=plan.most_growth_mib)

    async def run(self) -> Finding | None:
        """Send cases until the time is over; returns what was found."""
        await self._warm_up()

        async def send_for_a_while() -> None:
            with trio.move_on_after(self._plan.seconds):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._tell_progress)
                    for sender in range(SENDERS):
                        nursery.start_soon(self._send_for_ever, sender)

        finding = await self._watched(send_for_a_while)
        self._figures.cases = dict(self._sent)
        return finding

    async def send_again(self, cases: Sequence[Case]) -> Finding | None:
        """Send these cases; returns what was found."""
        await self._warm_up()

        async def send_one_by_one() -> None:
            for case in cases:
                await self._send(0, case)
                await trio.sleep(_SETTLES_S)
                self._watch.check()
            async with trio.open_nursery() as nursery:
                for sender, case in enumerate(cases[-SENDERS:]):
                    nursery.start_soon(self._send, sender, case)

        return await self._watched(send_one_by_one)

    async def _watched(self, send: Callable[[], Any]) -> Finding | None:
        """Send under the watch, and look once more at what it has left behind."""
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._watch.run)
                await send()
                await trio.sleep(_SETTLES_S)
                self._watch.check()
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            found = _first(group)
            own = found.case
            suspects = (*self._done, *self._under_way.values()) if own is None else (own,)
            return Finding(found.fault, suspects, is_certain=own is not None)
        return None

    async def _warm_up(self) -> None:
        """Have the server load what it loads when something odd first comes, and note its memory."""
        for target in ("http", "http2"):
            for number, sample in enumerate(corpus(target)):
                if number % 8 == 0 or target == "http2":
                    case = Case(
                        f"warm {number}: {sample.name}", sample.opening, b"".join(sample.parts[:3]), "hang up"
                    )
                    # All that was sent is a suspect.
                    await self._send(0, case)
        self._figures.first_mib = watch.resident_mib(self._server.process.pid)

    async def _send_for_ever(self, sender: int) -> None:
        while True:
            target = self._plan.targets[self._number % len(self._plan.targets)]
            number, self._number = self._number, self._number + 1
            case = make_case(self._plan.seed, target, number, self._samples[target])
            self._sent[target] += 1
            await self._send(sender, case)

    async def _send(self, sender: int, case: Case) -> None:
        self._under_way[sender] = case
        answer = await deliver(case, self._server.address, self._facts)
        fault = fault_in(answer)
        if fault:
            raise FaultFound(Fault("an answer that is the server's fault", fault), case)
        self._done.append(self._under_way.pop(sender))

    async def _tell_progress(self) -> None:
        figures, began = self._figures, trio.current_time()
        while True:
            await trio.sleep(5)
            self._say(
                f"{self._plan.lane} lane, {trio.current_time() - began:.0f} of {self._plan.seconds:.0f} s: "
                f"{sum(self._sent.values())} cases, {figures.largest_mib:.0f} MiB, "
                f"another visitor had {figures.visitor_answers} answers"
            )


def _first(group: BaseExceptionGroup[Any]) -> FaultFound:
    """Take a fault out of a group; whatever else is in a group without one is the fuzzer's own error."""
    faults, _ = group.split(FaultFound)
    if faults is None:
        raise group
    error: BaseException = faults
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, FaultFound)
    return error


def _narrowed(finding: Finding, plan: Plan, folder: Path, say: Progress) -> Finding:
    """Find the one case that breaks the promise alone; the finding as it was if none does in a minute.

    The latest are tried first, each by itself and with time for the watch to look, so that the last one sent
    before a promise breaks again is the one.
    """
    deadline = time.monotonic() + _LONGEST_SEARCH_S
    suspects = list(finding.suspects)
    for attempt, end in enumerate(range(len(suspects), 0, -_TRIED_AT_ONCE)):
        if time.monotonic() > deadline:
            break
        batch = suspects[max(0, end - _TRIED_AT_ONCE) : end]
        again = replay(batch, plan, folder / f"attempt-{attempt}", say).finding
        if again is not None:
            last = again.suspects[-1]
            alone = replay([last], plan, folder / f"alone-{attempt}", say).finding
            return replace(finding, suspects=(last,) if alone else tuple(batch), is_certain=alone is not None)
    return finding
