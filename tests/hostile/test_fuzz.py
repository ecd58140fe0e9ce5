"""Whatever bytes a server is sent, it lives, stays small, logs no traceback and serves everybody else.

A short run; `./scripts/fuzz` is the long one. And the proofs that a run fails where it must.
"""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio

from tests.hostile.fuzzing import visitor
from tests.hostile.fuzzing.corpus import TARGETS, corpus
from tests.hostile.fuzzing.delivery import fault_in
from tests.hostile.fuzzing.mutations import make_case
from tests.hostile.fuzzing.reports import keep, kept, report
from tests.hostile.fuzzing.run import Finding, Plan, fuzz
from tests.hostile.fuzzing.watch import Fault, FaultFound, Figures, Watch
from tests.support.processes import ServerProcess, running_server_process

SEED = 7
SECONDS = 10.0
PATIENCE_S = 60.0
"""The other visitor waits for 5 s at most, and then it is told. The rest is for a busy machine."""


@pytest.mark.alone
@pytest.mark.parametrize("lane", ["fast", "general"])
def test_a_server_bears_whatever_it_is_sent(lane: str, tmp_path: Path) -> None:
    plan = Plan(SEED, lane, TARGETS, SECONDS)
    outcome = fuzz(plan, tmp_path, print)
    told = "\n".join(report(outcome, plan))
    assert outcome.finding is None, told
    # How many depends on the machine; that each was tried, and the other visitor came, does not.
    assert set(outcome.figures.cases) == set(TARGETS), told
    assert outcome.figures.visitor_answers > 0, told


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with running_server_process(tmp_path) as running, running.site() as site:
        site.make_queue(id=visitor.QUEUE, status="paused")
        yield running


def fault_after(server: ServerProcess, act: Callable[[], object], *, most_growth_mib: float = 1000) -> Fault:
    """Watch a server, do something to it once it serves the other visitor, and return what is found."""

    async def main() -> None:
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                await nursery.start(Watch(server, Figures(), most_growth_mib=most_growth_mib).run)
                act()

    with pytest.RaisesGroup(pytest.RaisesExc(FaultFound), flatten_subgroups=True) as found:
        trio.run(main)
    (error,) = _leaves(found.value)
    return error.fault


def _leaves(error: BaseException) -> list[FaultFound]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    assert isinstance(error, FaultFound)
    return [error]


def test_the_watch_sees_that_a_server_ends(server: ServerProcess) -> None:
    assert fault_after(server, lambda: server.send(signal.SIGKILL)).kind == "the server ended"


def test_the_watch_sees_that_a_server_hangs(server: ServerProcess) -> None:
    fault = fault_after(server, lambda: server.send(signal.SIGSTOP))
    assert fault.kind == "another visitor was not served"


def test_the_watch_sees_memory_that_grows_beyond_its_bound(server: ServerProcess) -> None:
    assert fault_after(server, lambda: None, most_growth_mib=1).kind == "memory"


def test_the_watch_sees_a_traceback_in_the_log(server: ServerProcess) -> None:
    def log_one() -> None:
        with server.errors.open("a") as log:
            log.write("Traceback (most recent call last):\n  ValueError: an invented one\n")

    assert fault_after(server, log_one).kind == "a traceback in the log"


FINE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (FINE, ""),
        (b"", ""),
        (FINE + b"HTTP/1.1 500 Internal Server Error\r\na: b\r\n\r\n{}", "500"),
        (b"HTTP/1.1 503 Service Unavailable\r\na: b\r\n\r\n", "503"),
        (b'HTTP/1.1 503 Service Unavailable\r\na: b\r\n\r\n{"error":{"code":"QUEUE_FULL"}}', ""),
        (b"HTTP/1.1 501 Not Implemented\r\na: b\r\n\r\n", ""),
        # HTTP/2: settings, then a head that says 500, which is the fourteenth of the fixed table.
        (bytes.fromhex("0000000400000000000000010105000000018e"), "500"),
        (bytes.fromhex("00000004000000000000000101050000000188"), ""),
    ],
)
def test_an_answer_that_is_the_servers_fault_is_told_from_others(answer: bytes, status: str) -> None:
    assert fault_in(answer)[:3] == status


@pytest.mark.parametrize("target", TARGETS)
def test_a_seed_makes_the_same_cases_again_and_another_seed_others(target: str) -> None:
    samples = corpus(target)
    once, again, other = (
        [make_case(seed, target, number, samples) for number in range(50)] for seed in (1, 1, 2)
    )
    assert once == again
    assert [case.stream for case in once] != [case.stream for case in other]


def test_a_finding_is_read_as_it_was_kept(tmp_path: Path) -> None:
    cases = tuple(make_case(1, target, number, corpus(target)) for target in TARGETS for number in range(20))
    keep(Finding(Fault("memory", ""), cases, is_certain=False), tmp_path / "new" / "finding.jsonl")
    assert kept(tmp_path / "new" / "finding.jsonl") == list(cases)
