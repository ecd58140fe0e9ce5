"""Injects each fault at its time, undoes it, and records when every server was healthy again."""

import math
from collections.abc import Callable, Iterable
from urllib.parse import quote

import msgspec
import trio

from wr.rehearse.chaos.faults import Fault, FaultKind
from wr.rehearse.chaos.incidents import HEALS_WITHIN_S, RATE_HOLDS_S, Incident, RateChange, Record
from wr.rehearse.chaos.own_processes import OwnProcess
from wr.rehearse.chaos.own_servers import OwnServers, is_healthy
from wr.rehearse.client import HttpClient, Unanswered

_LOOKS_EVERY_S = 0.05


class FaultInjector:
    """Injects the faults of one run."""

    def __init__(
        self,
        own_servers: OwnServers,
        probes: list[HttpClient],
        queue_id: str,
        admission_rate: float,
        tell: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._own_servers = own_servers
        self._probes = probes
        self._path = f"/api/v1/admin/queues/{quote(queue_id, safe='')}".encode()
        self._admission_rate = admission_rate
        self._tell = tell
        self._clock = clock
        self._incidents: list[Incident] = []
        self._changes: list[RateChange] = []
        self._locks = {process.name: trio.Lock() for process in own_servers.processes}
        self._rate_lock = trio.Lock()
        self._scope = trio.CancelScope()
        self._wanted = 0
        self._cut_short: set[int] = set()
        """Numbers of the faults that were not yet undone when the last visit ended."""
        self._is_over = trio.Event()

    def record(self) -> Record:
        """Return the record of all faults."""
        incidents = sorted(self._incidents, key=lambda incident: incident.began_s)
        return Record(tuple(incidents), tuple(self._changes), tuple(self._own_servers.deaths), self._wanted)

    async def run(self, faults: Iterable[Fault], started_s: float) -> None:
        """Inject every fault at its time. Faults of different processes may overlap."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    for fault in faults:
                        await trio.sleep_until(started_s + fault.at_s)
                        self._wanted += 1
                        nursery.start_soon(self._inject, fault)
                async with self._rate_lock:
                    await self._restore_rate()
        finally:
            self._is_over.set()

    async def finish(self) -> None:
        """Stop injecting faults, start all processes again, and wait until every server is healthy."""
        self._scope.cancel()
        await self._is_over.wait()
        self._own_servers.thaw_all()
        for process in self._own_servers.processes:
            self._own_servers.start_again(process)
        healed_s = await self._healed_s()
        self._incidents = [
            msgspec.structs.replace(each, undone_s=min(each.undone_s, healed_s), healed_s=healed_s)
            if each.number in self._cut_short
            else each
            for each in self._incidents
        ]
        await self._restore_rate()

    async def _inject(self, fault: Fault) -> None:
        if fault.kind is FaultKind.CHANGE_RATE:
            async with self._rate_lock:
                await self._change_rate(fault)
            return
        targets = self._targets(fault)
        for process in targets:
            await self._locks[process.name].acquire()
        began_s = self._clock()
        undone_s = healed_s = math.inf
        lost_since_s = math.inf
        try:
            lost_since_s = self._begin(fault, targets)
            self._tell(_announced(fault, targets))
            if not await self._lasted(fault, targets):
                return
            self._undo(fault, targets)
            undone_s = self._clock()
            healed_s = await self._healed_s()
        finally:
            for process in targets:
                self._locks[process.name].release()
            if math.isinf(healed_s) and self._scope.cancel_called:
                self._cut_short.add(fault.number)
            self._incidents.append(
                Incident(
                    number=fault.number,
                    kind=fault.kind,
                    began_s=began_s,
                    undone_s=undone_s,
                    healed_s=healed_s,
                    lost_since_s=lost_since_s,
                    detail=", ".join(process.name for process in targets),
                )
            )

    def _targets(self, fault: Fault) -> list[OwnProcess]:
        """List the processes that a fault affects, always in the same order, to avoid deadlocks."""
        if fault.kind is FaultKind.POWER_CUT:
            return self._own_servers.processes
        return [
            self._own_servers.servers[fault.server]
            if fault.kind.is_of_servers
            else self._own_servers.store.process
        ]

    def _begin(self, fault: Fault, targets: list[OwnProcess]) -> float:
        """Inject a fault. Returns the time since which the store may lose data; infinity if it loses none.

        Never yields to the event loop, so that the store stays stopped while it is emptied or set back.
        """
        kind, store = fault.kind, self._own_servers.store
        if kind in (FaultKind.FREEZE_SERVER, FaultKind.FREEZE_STORE):
            for process in targets:
                process.freeze()
            return math.inf
        for process in targets:
            self._own_servers.hold(process)
            if kind is FaultKind.STOP_SERVER:
                process.ask_to_stop()
            else:
                process.kill()
        if kind is FaultKind.FORGET_STORE:
            store.forget()
            return -math.inf
        if kind is FaultKind.REWIND_STORE:
            return store.rewind()
        kills_store = kind in (FaultKind.KILL_STORE, FaultKind.POWER_CUT)
        return -math.inf if kills_store and not store.keeps_all else math.inf

    async def _lasted(self, fault: Fault, targets: list[OwnProcess]) -> bool:
        """Wait until the fault is to be undone. False if a server that was asked to stop did not stop."""
        await trio.sleep(fault.lasts_s)
        if fault.kind is FaultKind.STOP_SERVER:
            return await trio.to_thread.run_sync(targets[0].wait, abandon_on_cancel=True)
        return True

    def _undo(self, fault: Fault, targets: list[OwnProcess]) -> None:
        for process in targets:
            if fault.kind in (FaultKind.FREEZE_SERVER, FaultKind.FREEZE_STORE):
                process.thaw()
            else:
                self._own_servers.start_again(process)

    async def _healed_s(self) -> float:
        """Wait until every server is healthy again, and return that time; infinity after `HEALS_WITHIN_S`."""

        async def until_healthy(probe: HttpClient) -> None:
            while not await is_healthy(probe):  # noqa: ASYNC110 - another process's health sends no event
                await trio.sleep(_LOOKS_EVERY_S)

        with trio.move_on_after(HEALS_WITHIN_S):
            async with trio.open_nursery() as nursery:
                for probe in self._probes:
                    nursery.start_soon(until_healthy, probe)
            return self._clock()
        return math.inf

    async def _change_rate(self, fault: Fault) -> None:
        began_s = self._clock()
        rate = max(round(self._admission_rate * fault.factor, 3), 0.1)
        self._tell(f"fault {fault.number}: the operator sets the admission rate to {rate:g}/s")
        is_sure = await self._set_rate(rate)
        await trio.sleep(RATE_HOLDS_S)
        now_s = self._clock()
        detail = f"{rate:g}/s" if is_sure else f"{rate:g}/s, got no answer"
        self._incidents.append(Incident(fault.number, fault.kind, began_s, now_s, now_s, detail=detail))

    async def _restore_rate(self) -> None:
        if any(change.rate != self._admission_rate for change in self._changes[-1:]):
            await self._set_rate(self._admission_rate)

    async def _set_rate(self, rate: float) -> bool:
        """Change the rate through the first server that accepts it. Returns whether one confirmed it."""
        key = (b"X-Admin-Key", self._own_servers.admin_key.encode())
        body = msgspec.json.encode({"admission_rate": rate})
        for probe in self._probes:
            sent_s = self._clock()
            try:
                is_sure = (await probe.send(probe.make(b"PATCH", self._path, (key,), body))).status == 200
            except Unanswered:
                is_sure = False
            self._changes.append(RateChange(sent_s, self._clock(), rate, is_sure))
            if is_sure:
                return True
        return False


def _announced(fault: Fault, targets: list[OwnProcess]) -> str:
    names = " and ".join(process.name for process in targets) if len(targets) < 3 else "everything"
    what = {
        FaultKind.KILL_SERVER: "is killed",
        FaultKind.FREEZE_SERVER: "is frozen",
        FaultKind.STOP_SERVER: "is stopped",
        FaultKind.KILL_STORE: "is killed",
        FaultKind.FREEZE_STORE: "is frozen",
        FaultKind.FORGET_STORE: "is killed and loses all data",
        FaultKind.REWIND_STORE: "is killed and set back to an older snapshot",
        FaultKind.POWER_CUT: "is killed at the same time",
    }[fault.kind]
    return f"fault {fault.number}: {names} {what} for {fault.lasts_s:.1f} s"
