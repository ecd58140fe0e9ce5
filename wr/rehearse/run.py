"""Runs a whole rehearsal: reads the queue, plans and runs the visitors, checks and prints the result."""

import gc
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import msgspec
import trio
from rich.console import Console

from wr.client.admin_client import AdminClient, find_admin_key
from wr.rehearse.client import Origin, open_client, parse_origin
from wr.rehearse.observations import Observations
from wr.rehearse.operator import (
    CannotRehearse,
    QueueState,
    check_queue_admits,
    issue_passes,
    read_queue_state,
)
from wr.rehearse.plan import Plan, VisitPlan, make_visit_plans
from wr.rehearse.rehearsal import Rehearsal
from wr.rehearse.report import announce, report, show_progress
from wr.rehearse.verdict import Verdict, judge
from wr.supervision.exception_groups import first_of

__all__ = ["CannotRehearse", "run_rehearsal"]

_SPARE_DESCRIPTORS = 64
_PATIENCE_S = 30.0
_WIDTH = 110
"""Characters per line if the output is not a terminal."""


def run_rehearsal(
    queue_id: str,
    visitors: int,
    join_rate: float,
    seed: int,
    url: str,
    admin_key: str,
    data_dir: Path,
    *,
    is_live: bool = False,
) -> Verdict:
    """Run a rehearsal on a running server, show its progress and print the result.

    Raises:
        CannotRehearse: it cannot run.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    try:
        admin = AdminClient(url, find_admin_key(admin_key, data_dir))
        origin = parse_origin(admin.url)
    except ValueError as error:
        raise CannotRehearse(str(error)) from error
    failure: BaseException | None = None
    is_interrupted = False
    with garbage_collected_rarely():
        try:
            seen = trio.run(_run, console, admin, origin, queue_id, visitors, join_rate, seed, is_live)
        except* CannotRehearse as group:
            failure = first_of(group)
        except* KeyboardInterrupt:
            is_interrupted = True
        # Raised out here because Python before 3.11.4 (Debian 12) would wrap it in a group in an except*
        # block.
        if failure is not None:
            raise failure
        if is_interrupted:
            raise KeyboardInterrupt
        verdict = judge(seen)
    report(console, seen.plan, verdict)
    return verdict


@contextmanager
def garbage_collected_rarely() -> Iterator[None]:
    """Make Python's garbage collector run rarely within the block.

    With 4,000 visitors, scanning all observations again and again took more than half of each request's time
    (667 µs instead of 296).
    """
    thresholds = gc.get_threshold()
    gc.set_threshold(100_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


async def _run(
    console: Console,
    admin: AdminClient,
    origin: Origin,
    queue_id: str,
    visitors: int,
    join_rate: float,
    seed: int,
    is_live: bool,
) -> Observations:
    clock = trio.current_time
    before = await read_queue_state(admin, queue_id)
    check_queue_admits(before.facts)
    plan = Plan(before.facts, visitors, join_rate, seed, run_id=new_run_id(), is_live=is_live)
    announce(console, plan, before, admin.url)

    def planned_visits() -> Iterator[VisitPlan]:
        return make_visit_plans(plan, Random(seed))  # noqa: S311 - a repeatable plan, not a secret

    passes = await issue_passes(admin, plan, planned_visits(), tell=console.print)
    visit_plans = (
        msgspec.structs.replace(visit_plan, used_pass=passes.get(visit_plan.number, ""))
        for visit_plan in planned_visits()
    )
    async with open_client(
        origin, most_connections=connections(visitors), patience_s=_PATIENCE_S, clock=clock
    ) as client:
        return await run_with_progress(
            console, Rehearsal(plan, visit_plans, client, admin, clock), before, clock
        )


async def run_with_progress(
    console: Console, rehearsal: Rehearsal, before: QueueState, clock: Callable[[], float]
) -> Observations:
    """Run a rehearsal and show its progress.

    Raises:
        CannotRehearse: the server gives all visitors the same address; may be inside an exception group.
    """
    async with trio.open_nursery() as nursery:
        nursery.start_soon(show_progress, console, rehearsal, clock)
        seen = await rehearsal.run(before)
        nursery.cancel_scope.cancel()
    return seen


def new_run_id() -> str:
    """Generate a unique name for a run."""
    return os.urandom(6).hex()


def connections(visitors: int) -> int:
    """Return how many connections this process may open: one per visitor, or as many as the system allows.

    Raises the limit on open files if necessary. A fast server needs few connections; but with a slow one, a
    visitor must not wait for another visitor's connection.
    """
    limit, granted = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = visitors + _SPARE_DESCRIPTORS
    if limit != resource.RLIM_INFINITY and limit < wanted:
        limit = wanted if granted == resource.RLIM_INFINITY else min(wanted, granted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, granted))
    return visitors if limit == resource.RLIM_INFINITY else max(1, min(wanted, limit) - _SPARE_DESCRIPTORS)
