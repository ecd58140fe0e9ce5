"""Measures latency at half of the fast lane's saturation, while visitors are admitted in the same queue."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from bench.compare.crowd import Line, read_ring, write_tokens
from bench.compare.figures import Finding
from bench.compare.operators import OperatorService
from bench.compare.run import Run, Stage
from bench.compare.subjects import observe
from bench.compare.throughput import (
    HEARTBEAT_BODY,
    JOIN_BODY,
    JOIN_CONNECTIONS,
    POLL_CONNECTIONS,
    queue_path,
)
from bench.compare.wrk import Ask, Load, joiners, visitors
from bench.servers import Server, StoreServer

_QUEUE = "latency"
_RATE = 100
_IN_FRONT = 3
"""Priority of the visitors who are admitted, so that the measured visitors keep waiting."""
_LONGEST_S = 600
_PACE = (0.45, 0.55)
"""Range of rates that counts as half of saturation."""
_BURST_S = 1.5
"""Seconds to skip: the admissions of the first second come at once."""

PacedAsk = Callable[[float, float], Ask]
"""Creates a load from seconds and requests per second (0 means as many as possible)."""


class TooFew(Exception):
    """Too few visitors were ahead, so that the measured visitors were admitted."""


def measure_latency(run: Run) -> list[Finding]:
    """Measure the median and the 99th percentile, in milliseconds, as wrk sees them."""
    with run.folder() as folder, run.store() as store, run.servers(store) as (server,):
        operators = OperatorService(server)
        kinds = _kinds(run, operators, store, folder)
        operators.set_status(_QUEUE, "active")
        time.sleep(_BURST_S)
        let_in, began = operators.admitted(_QUEUE), time.monotonic()
        findings = [
            finding for kind, ask_for in kinds.items() for finding in _half(run, kind, ask_for, server, store)
        ]
        rate = (operators.admitted(_QUEUE) - let_in) / (time.monotonic() - began)
        if Line(store, _QUEUE).waiting() < run.options.visitors:
            raise TooFew("the measured visitors were admitted")
    return [*findings, Finding(key="latency.admissions", values=(rate,), note=f"set to {_RATE}")]


def _kinds(run: Run, operators: OperatorService, store: StoreServer, folder: Path) -> dict[str, PacedAsk]:
    operators.make_queue(_QUEUE, rate=_RATE)
    line = Line(store, _QUEUE)
    line.fill(_RATE * _LONGEST_S, priority=_IN_FRONT)
    visitor_count = run.options.visitors
    tokens = write_tokens(
        folder / "tokens", _QUEUE, line.fill(visitor_count, chosen=visitor_count), read_ring(store)
    )

    def heartbeats(seconds: float, per_second: float) -> Ask:
        return visitors(
            "POST",
            queue_path(_QUEUE, "heartbeat"),
            HEARTBEAT_BODY,
            tokens,
            connections=POLL_CONNECTIONS,
            seconds=seconds,
            per_second=per_second,
        )

    def joins(seconds: float, per_second: float) -> Ask:
        return joiners(
            queue_path(_QUEUE, "enqueue"),
            JOIN_BODY,
            connections=JOIN_CONNECTIONS,
            seconds=seconds,
            per_second=per_second,
        )

    return {"heartbeat": heartbeats, "enqueue": joins}


def _half(run: Run, kind: str, ask_for: PacedAsk, server: Server, store: StoreServer) -> list[Finding]:
    seconds = run.options.load_s
    run.doing(f"{kind}: saturation")
    observe(run, server, store, ask_for(1, 0))
    saturation = observe(run, server, store, ask_for(min(seconds, 3), 0)).load.per_second
    loads: list[Load] = []
    for number in run.rounds():
        run.doing(f"{kind}: half of {saturation:,.0f} a second, round {number + 1}")
        load = observe(run, server, store, ask_for(seconds, saturation / 2)).load
        loads.append(load)
    reached = statistics.median(load.per_second for load in loads)
    # A load that missed its rate is reported, not hidden: the machine may have been busy.
    is_on_pace = _PACE[0] < reached / saturation < _PACE[1]
    note = f"{'' if is_on_pace else 'OFF PACE: '}{reached:,.0f}/s of {saturation:,.0f}/s"
    return [
        Finding(
            key=f"latency.{kind}.{percent}",
            values=tuple((load.p50_us if percent == 50 else load.p99_us) / 1000 for load in loads),
            note=note,
        )
        for percent in (50, 99)
    ]


STAGES = (
    Stage(
        "latency",
        "latency at half of saturation, while visitors are admitted",
        measure_latency,
        needs_wrk=True,
    ),
)
