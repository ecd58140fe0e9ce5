"""What must hold whatever is sent: the server lives, stays small, logs no traceback and serves others."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import trio

from tests.hostile.fuzzing.mutations import Case
from tests.support.processes import ServerProcess

MOST_GROWTH_MIB = 128
"""How much memory a server may take beyond what it had once both lanes had been used.

A dozen connections at once may each have one answer on its way, and the largest has 1.5 MiB; a body or a
WebSocket's unsent bytes are 64 KiB. With what allocators keep that is about 40 MiB.
"""
_LOOK_S = 0.05
_TRACEBACK = re.compile(r"^[ |+]*Traceback \(most recent call last\)", re.MULTILINE)
_SHOWN_OF_LOG = 3_000
_ENDS_WITHIN_S = 1.0


@dataclass(frozen=True)
class Fault:
    """What went wrong: its kind, in a word or two, and everything that is known of it."""

    kind: str
    detail: str


class FaultFound(Exception):
    """A promise was broken."""

    def __init__(self, fault: Fault, case: Case | None = None) -> None:
        super().__init__(f"{fault.kind}: {fault.detail}")
        self.fault = fault
        self.case = case
        """The case that did it, where that is known."""


@dataclass
class Figures:
    """What was seen, for the report."""

    visitor_answers: int = 0
    slowest_s: float = 0.0
    """The longest that another visitor waited, whatever kept the machine busy."""
    slowest_own_s: float = 0.0
    """The longest without the time in which there was no processor: what is bounded."""
    first_mib: float = 0.0
    largest_mib: float = 0.0
    cases: dict[str, int] = field(default_factory=dict)


def resident_mib(pid: int) -> float:
    """How much memory a process has, in MiB; 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


class Watch:
    """Looks at one server for as long as its tasks run; each of them raises `FaultFound`."""

    def __init__(self, server: ServerProcess, figures: Figures, *, most_growth_mib: float) -> None:
        self._server = server
        self._figures = figures
        self._most_growth_mib = most_growth_mib
        self._read_of_log = 0
        self._has_served = trio.Event()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look for ever; has started once the other visitor has been served for the first time."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._look)
            nursery.start_soon(self._visit)
            await self._has_served.wait()
            task_status.started()

    def check(self) -> None:
        """Look once at the process, its memory and its log."""
        code = self._server.process.poll()
        if code is not None:
            log = self._server.log[-_SHOWN_OF_LOG:]
            raise FaultFound(Fault("the server ended", f"exit code {code}\n{log}"))
        self._check_memory()
        self._check_log()

    async def _look(self) -> None:
        while True:
            self.check()
            await trio.sleep(_LOOK_S)

    def _check_memory(self) -> None:
        mib = resident_mib(self._server.process.pid)
        figures = self._figures
        figures.largest_mib = max(figures.largest_mib, mib)
        if mib - figures.first_mib > self._most_growth_mib:
            detail = f"{figures.first_mib:.0f} to {mib:.0f} MiB; it may grow by {self._most_growth_mib:.0f}"
            raise FaultFound(Fault("memory", detail))

    def _check_log(self) -> None:
        with self._server.errors.open("rb") as log:
            log.seek(self._read_of_log)
            news = log.read()
        # Up to the last whole line; a traceback that is being written is found next time.
        whole = news[: news.rfind(b"\n") + 1]
        self._read_of_log += len(whole)
        text = whole.decode(errors="replace")
        found = _TRACEBACK.search(text)
        if found:
            around = text[max(0, found.start() - 300) :][:_SHOWN_OF_LOG]
            raise FaultFound(Fault("a traceback in the log", around))

    async def _visit(self) -> None:
        """Have another visitor come, and hear how it is served."""
        server = self._server
        host, port = server.address
        command = [sys.executable, "-m", "tests.hostile.fuzzing.visitor", host, str(port)]
        process = await trio.lowlevel.open_process(
            [*command, str(server.process.pid), str(server.store_pid)], stdout=subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            await self._hear(process.stdout)
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()

    async def _hear(self, stream: trio.abc.ReceiveStream) -> None:
        unread = b""
        async for data in stream:
            *lines, unread = (unread + data).split(b"\n")
            for line in lines:
                said = json.loads(line)
                if "kind" in said:
                    # If the process is about to end, that is the fault: this is how it looks from outside.
                    await trio.sleep(_ENDS_WITHIN_S)
                    self.check()
                    raise FaultFound(Fault(said["kind"], said["detail"]))
                self._figures.visitor_answers += 1
                self._has_served.set()
                self._figures.slowest_s = max(self._figures.slowest_s, said["took_s"])
                self._figures.slowest_own_s = max(self._figures.slowest_own_s, said["own_s"])
        raise RuntimeError("the other visitor has ended without a word")
