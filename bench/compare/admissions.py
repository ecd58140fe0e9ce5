"""Measures how exactly one server, and three servers, keep the admission rate, from the shrinking queue."""

import time

from bench.compare.crowd import Line
from bench.compare.figures import Finding
from bench.compare.operators import OperatorService
from bench.compare.run import Run, Stage
from bench.compare.shrinking import rate_of, watch
from bench.servers import Server, StoreServer
from wr.store.admit import MOST_PER_CALL

RATES = (100, 1_000, 20_000)
_REPLICA_RATE = 1_000
_MOST_REPEATS = 3
_PAUSE_S = 1.0
_INTERVAL_S = 0.25
"""Default seconds between two admission passes of a server."""


class Disagreement(Exception):
    """The queue shrank by a different number than its own count of admissions."""


def measure_admissions(run: Run) -> list[Finding]:
    """Measure the admissions per second of one server, at each rate."""
    seen: dict[int, list[float]] = {rate: [] for rate in RATES}
    with run.store() as store, run.servers(store) as (server,):
        for number in range(_repeats(run)):
            for rate in RATES:
                seen[rate].append(_rate(run, server, store, rate, f"at-{rate}-{number}"))
    return [
        Finding(
            key=f"admissions.{rate}",
            values=tuple(values),
            note="agrees with the queue's own count",
        )
        for rate, values in seen.items()
    ]


def measure_replicas(run: Run) -> list[Finding]:
    """Measure the admissions per second of three servers that share a store."""
    with run.store() as store, run.servers(store, replicas=3) as servers:
        values = tuple(
            _rate(run, servers[0], store, _REPLICA_RATE, f"three-{number}") for number in range(_repeats(run))
        )
    return [
        Finding(
            key="replicas.1000",
            values=values,
            note="agrees with the queue's own count",
        )
    ]


def _rate(run: Run, server: Server, store: StoreServer, rate: int, queue_id: str) -> float:
    operators, line = OperatorService(server), Line(store, queue_id)
    seconds = run.options.admission_s + 1.5
    people = int(rate * (seconds + 4))
    operators.make_queue(queue_id, rate=rate)
    try:
        with run.bar(f"{people:,} people join", people) as advance:
            line.fill(people, advance=advance)
        run.doing(f"admitting {rate:,} per second for {seconds:.0f} s")
        operators.set_status(queue_id, "active")
        samples = watch(line.waiting, seconds)
        operators.set_status(queue_id, "paused")
        time.sleep(_PAUSE_S)
        gone, admitted = people - line.waiting(), operators.admitted(queue_id)
        if gone != admitted:
            raise Disagreement(f"{gone:,} left queue {queue_id}, which counted {admitted:,} admissions")
        takes_several_calls = rate * _INTERVAL_S > MOST_PER_CALL
        return rate_of(samples, together_s=0.1 if takes_several_calls else 0.02)
    finally:
        operators.delete(queue_id)
        operators.close()
        line.close()


def _repeats(run: Run) -> int:
    return min(run.options.repeats, _MOST_REPEATS)


STAGES = (
    Stage("admissions", "people let in per second at 100, 1,000 and 20,000", measure_admissions),
    Stage("replicas", "people let in per second by three servers at 1,000", measure_replicas),
)
