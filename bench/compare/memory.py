"""Measures the memory of a long queue: in the store for each position, and in the server."""

import time

from bench.compare.crowd import Line, read_ring, write_tokens
from bench.compare.figures import Finding
from bench.compare.operators import OperatorService
from bench.compare.run import Run, Stage
from bench.compare.subjects import observe
from bench.compare.throughput import HEARTBEAT_BODY, POLL_CONNECTIONS, queue_path
from bench.compare.wrk import visitors
from bench.servers import Server
from wr.model.limits import Limit

_QUEUE = "memory"
_VISITORS = 5_000
_SHORT = "999999999/1"
_COUNTED = Limit(999_999_999, 1)
_SETTLE_S = 4.0
_PATIENCE_S = 30.0
_MIB = 2**20


def measure_memory(run: Run) -> list[Finding]:
    """Measure memory with all visitors waiting and none connected, after some seconds of heartbeats.

    Limits are counted in windows of one second here, and the store's figure is read when the last has
    expired.
    """
    people = run.options.people
    shared = {f"limit_{scope}": _SHORT for scope in ("enqueue", "status", "heartbeat")}
    with run.folder() as folder, run.store() as store, run.servers(store, 1, **shared) as (server,):
        OperatorService(server).make_queue(_QUEUE)
        line = Line(store, _QUEUE)
        before = _used(line)
        with run.bar(f"{people:,} people join", people) as advance:
            places = line.fill(people, chosen=min(people, _VISITORS), limit=_COUNTED, advance=advance)
        run.doing("waiting until the limits' windows have expired")
        _wait_for_rest(line)
        per_position = (_used(line) - before) / people
        tokens = write_tokens(folder / "tokens", _QUEUE, places, read_ring(store))
        run.doing("heartbeats, so that the server is one that has served")
        ask = visitors(
            "POST",
            queue_path(_QUEUE, "heartbeat"),
            HEARTBEAT_BODY,
            tokens,
            connections=POLL_CONNECTIONS,
            seconds=run.options.load_s,
        )
        served = observe(run, server, store, ask).load.requests
        time.sleep(_SETTLE_S)
        store_mib = store.resident_bytes() / _MIB
        return [
            Finding(
                key="memory.position",
                values=(per_position,),
                note=f"{store.engine}; growth of used_memory",
                is_judged=run.options.is_full,
            ),
            *_process(server, served, is_judged=run.options.is_full),
            Finding(key="memory.store", values=(store_mib,), note="resident"),
        ]


def _process(server: Server, served: int, *, is_judged: bool) -> list[Finding]:
    findings = [
        Finding(
            key="memory.process",
            values=(server.resident_bytes() / _MIB,),
            note=f"resident, after {served:,} heartbeats",
            is_judged=is_judged,
        )
    ]
    proportional = server.proportional_bytes()
    if proportional is not None:
        findings.append(Finding(key="memory.proportional", values=(proportional / _MIB,)))
    return findings


def _used(line: Line) -> int:
    return int(line.client.info("memory")["used_memory"])


def _wait_for_rest(line: Line) -> None:
    """Wait until the counters of joins have expired.

    Raises:
        RuntimeError: it stays.
    """
    windows = [f"wr:{{{_QUEUE}}}:enqueue_{turn}" for turn in ("even", "odd")]
    deadline = time.monotonic() + _PATIENCE_S
    while line.client.exists(*windows):
        if time.monotonic() > deadline:
            raise RuntimeError("the counters of the limits do not expire")
        time.sleep(0.1)
    time.sleep(_SETTLE_S)


STAGES = (Stage("memory", "memory of store and server with a long line", measure_memory, needs_wrk=True),)
