"""Runs a whole rehearsal with faults: starts servers and store, runs visitors, prints the result."""

import math
import shutil
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import msgspec
import trio
from rich.console import Console

from wr.client.admin_client import AdminClient, AdminFailure, AdminKey
from wr.rehearse.chaos.failover_client import open_failover_client
from wr.rehearse.chaos.fault_injector import FaultInjector
from wr.rehearse.chaos.faults import Fault, FaultKind, schedule
from wr.rehearse.chaos.incidents import Record
from wr.rehearse.chaos.own_servers import OwnServers, open_own_servers, started
from wr.rehearse.chaos.verdict import judge
from wr.rehearse.client import open_client, parse_origin
from wr.rehearse.observations import Observations
from wr.rehearse.operator import CannotRehearse, read_queue_state
from wr.rehearse.plan import Plan, QueueFacts, VisitPlan, make_visit_plans
from wr.rehearse.rehearsal import Rehearsal
from wr.rehearse.report import report
from wr.rehearse.run import connections, garbage_collected_rarely, new_run_id, run_with_progress
from wr.rehearse.verdict import Verdict
from wr.supervision.exception_groups import first_of

QUEUE_ID = "chaos"
VISITORS_PER_FAULT = 6
"""Default number of visitors, per fault."""

_TIMEOUT_INTERVALS = 6
_LET_IN_SHARE = 0.87
"""Part of the visitors who wait until they are admitted."""
_COMING_SHARE = 0.5
"""Part of the run in which visitors join. A shorter part than the whole makes a queue form and last."""
_ROOM_S = 3.5
_SESSION_S = 600
_PATIENCES = 4
_LIVE_EVERY = 3
_MOST_TRIES = 100
_PATIENCE_S = 60.0
"""Seconds without any change of a visitor's state after which the run is given up. Faults are much shorter.
"""


class Chaos(msgspec.Struct, frozen=True):
    """The options of a rehearsal with faults."""

    kinds: tuple[FaultKind, ...]
    faults: int
    every_s: float
    """Seconds between the beginnings of two faults, on average."""
    longest_s: float
    """The longest duration of a fault, in seconds."""
    servers: int
    store_command: str
    """Command that starts the store; empty for the store that `wr serve` embeds."""
    visitors: int
    seed: int

    @property
    def lasts_s(self) -> float:
        """Seconds that all faults take together."""
        return self.faults * self.every_s

    @property
    def heartbeat_interval_s(self) -> int:
        """The queue's heartbeat interval: short, so that long silences fit into a short run."""
        return 1

    @property
    def heartbeat_timeout_s(self) -> int:
        """The queue's heartbeat timeout."""
        return self.heartbeat_interval_s * _TIMEOUT_INTERVALS

    @property
    def admission_rate(self) -> float:
        """The queue's admission rate: so low that the last visitors are admitted after the last fault."""
        return max(0.5, round(self.visitors * _LET_IN_SHARE / self.lasts_s, 2))


def run_rehearsal(chaos: Chaos) -> Verdict:
    """Run a rehearsal with faults on its own servers and store, and print the result.

    Raises:
        CannotRehearse: it cannot run.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 110
    failure: BaseException | None = None
    is_interrupted = False
    with garbage_collected_rarely():
        try:
            seen, record, folder = trio.run(_run, console, chaos)
        except* CannotRehearse as group:
            failure = first_of(group)
        except* KeyboardInterrupt:
            is_interrupted = True
        # Raised out here, as in `wr.rehearse.run`.
        if failure is not None:
            raise failure
        if is_interrupted:
            raise KeyboardInterrupt
        verdict = judge(seen, record)
    report(console, seen.plan, verdict)
    if verdict.broken:
        (folder / "seen.json").write_bytes(msgspec.json.encode({"faults": record, "visits": seen.visits}))
        console.print(
            f"Logs of servers and store, and all answers of each visitor (seen.json), are in {folder}",
            highlight=False,
        )
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return verdict


async def _run(console: Console, chaos: Chaos) -> tuple[Observations, Record, Path]:
    clock = trio.current_time
    patience_s = chaos.heartbeat_timeout_s / _PATIENCES
    async with AsyncExitStack() as stack:
        own_servers = await stack.enter_async_context(
            open_own_servers(chaos.servers, chaos.store_command, chaos.heartbeat_interval_s, clock)
        )
        origins = [parse_origin(url) for url in own_servers.urls]
        probes = [
            await stack.enter_async_context(
                open_client(origin, most_connections=4, patience_s=patience_s, clock=clock)
            )
            for origin in origins
        ]
        await started(own_servers, probes)
        admin = AdminClient(own_servers.urls[0], AdminKey(own_servers.admin_key, "this rehearsal"))
        await _make_queue(admin, chaos)
        before = await read_queue_state(admin, QUEUE_ID)
        plan = _plan(chaos, before.facts)
        _announce(console, chaos, plan, own_servers)
        client = await stack.enter_async_context(
            open_failover_client(
                origins, most_connections=connections(chaos.visitors), patience_s=patience_s, clock=clock
            )
        )
        started_s = clock()
        injector = FaultInjector(
            own_servers,
            probes,
            QUEUE_ID,
            plan.facts.admission_rate,
            lambda what: console.print(f"{clock() - started_s:6.1f} s  {what}", highlight=False),
            clock,
        )
        rehearsal = Rehearsal(
            plan,
            _mixed_visit_plans(plan),
            client,
            admin,
            clock,
            before_final_read=injector.finish,
            patience_s=_PATIENCE_S,
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(own_servers.watch)
            nursery.start_soon(own_servers.keep_snapshots, chaos.every_s / 2)
            nursery.start_soon(injector.run, _faults(chaos), started_s)
            seen = await run_with_progress(console, rehearsal, before, clock)
            nursery.cancel_scope.cancel()
        record = msgspec.structs.replace(injector.record(), clock_ahead_ms=(time.time() - clock()) * 1000)
        return seen, record, own_servers.folder


def _plan(chaos: Chaos, facts: QueueFacts) -> Plan:
    return Plan(
        facts,
        chaos.visitors,
        chaos.visitors / (chaos.lasts_s * _COMING_SHARE),
        chaos.seed,
        run_id=new_run_id(),
        stream_patience_s=2.0 * chaos.heartbeat_interval_s,
        keeps_all_answers=True,
        most_tries=_MOST_TRIES,
    )


def _faults(chaos: Chaos) -> Iterator[Fault]:
    return schedule(
        chaos.kinds,
        faults=chaos.faults,
        every_s=chaos.every_s,
        longest_s=chaos.longest_s,
        servers=chaos.servers,
        heartbeat_timeout_s=chaos.heartbeat_timeout_s,
        random=Random(f"faults {chaos.seed}"),  # noqa: S311 - a repeatable plan, not a secret
    )


def _mixed_visit_plans(plan: Plan) -> Iterator[VisitPlan]:
    """Plan the visitors. Every third one waits on a WebSocket."""
    for visit_plan in make_visit_plans(plan, Random(plan.seed)):  # noqa: S311 - a repeatable plan, not a secret
        yield msgspec.structs.replace(visit_plan, is_live=visit_plan.number % _LIVE_EVERY == 0)


async def _make_queue(admin: AdminClient, chaos: Chaos) -> None:
    settings: dict[str, object] = {
        "id": QUEUE_ID,
        "target_url": "https://shop.example/",
        "admission_rate": chaos.admission_rate,
        "max_active_users": max(5, math.ceil(chaos.admission_rate * _ROOM_S)),
        "max_queue_size": 0,
        "session_timeout_seconds": _SESSION_S,
        "heartbeat_interval_seconds": chaos.heartbeat_interval_s,
        "heartbeat_timeout_seconds": chaos.heartbeat_timeout_s,
        "open_priority": 3,
        "priority_share": 1.0,
    }
    try:
        await trio.to_thread.run_sync(admin.create_queue, settings, abandon_on_cancel=True)
    except AdminFailure as failure:
        raise CannotRehearse(str(failure)) from failure


def _announce(console: Console, chaos: Chaos, plan: Plan, own_servers: OwnServers) -> None:
    facts = plan.facts
    servers = "one server" if chaos.servers == 1 else f"{chaos.servers} servers"
    console.print(
        f"{chaos.visitors:,} visitors join, {plan.join_rate:.1f} a second, on {servers} and a store "
        f"({own_servers.store.name}) of their own on this machine. {chaos.faults:,} faults happen, one every "
        f"{chaos.every_s:g} s: {', '.join(kind.value for kind in chaos.kinds)}.\n"
        f"{facts.admission_rate:g} a second are admitted, with at most {facts.max_active_users:,} sessions. "
        f"Heartbeats are due every {facts.heartbeat_interval_seconds:,} s. A visitor who is silent for "
        f"{facts.heartbeat_timeout_seconds:,} s is dropped.\n"
        f"The run takes about {chaos.lasts_s / 60 + 0.5:.1f} minutes. Ctrl-C ends it early. "
        f"The seed is {chaos.seed}.",
        highlight=False,
    )
