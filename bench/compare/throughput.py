"""Measures requests per second of the busiest routes: fast lane, lane off and bare server in turn."""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.compare.crowd import Line, read_ring, write_tokens
from bench.compare.figures import Finding, ratios
from bench.compare.operators import OperatorService
from bench.compare.run import Run, Stage
from bench.compare.subjects import NAMES, Observed, Subjects, observe, subjects
from bench.compare.wrk import Ask, joiners, visitors

JOIN_BODY = '{"priority":0}'
HEARTBEAT_BODY = '{"timestamp":1704067260000,"client_id":"browser-fingerprint-abc123"}'
JOIN_CONNECTIONS = 256
POLL_CONNECTIONS = 64
_WARM_UP_S = 1.0
_SATURATED = 0.85
"""Processor use from which the server counts as the limit of the load."""
_JOINS_PER_RUN = 1_000_000


def queue_path(queue_id: str, operation: str) -> str:
    """Return the path of an operation on a queue."""
    return f"/api/v1/queues/{queue_id}/{operation}"


def measure_enqueue(run: Run) -> list[Finding]:
    """Measure joins per second, each run into an empty queue, each join from a different address."""
    with subjects(run) as servers:
        operators = OperatorService(servers.fast)
        turn = 0

        def take_turn(name: str, seconds: float) -> Observed:
            nonlocal turn
            turn += 1
            queue_id = f"joins-{turn}"
            operators.make_queue(queue_id)
            try:
                ask = joiners(
                    queue_path(queue_id, "enqueue"),
                    JOIN_BODY,
                    connections=JOIN_CONNECTIONS,
                    seconds=seconds,
                    first_address=turn * _JOINS_PER_RUN,
                )
                return observe(run, servers.find(name), servers.store, ask)
            finally:
                operators.delete(queue_id)

        seen = _rounds(run, take_turn)
    return _findings("enqueue", seen)


def measure_heartbeat(run: Run) -> list[Finding]:
    """Measure heartbeats per second of visitors in a paused queue."""
    return _measure_polls(run, "heartbeat", "POST", HEARTBEAT_BODY)


def measure_status(run: Run) -> list[Finding]:
    """Measure status calls per second of visitors in a paused queue."""
    return _measure_polls(run, "status", "GET", "")


def _measure_polls(run: Run, kind: str, method: str, body: str) -> list[Finding]:
    with subjects(run) as servers, run.folder() as folder:
        ask_for = _crowd(run, servers, kind, method, body, folder / "tokens")
        seen = _rounds(
            run, lambda name, seconds: observe(run, servers.find(name), servers.store, ask_for(seconds))
        )
    return _findings(kind, seen)


def _crowd(
    run: Run, servers: Subjects, kind: str, method: str, body: str, tokens: Path
) -> Callable[[float], Ask]:
    OperatorService(servers.fast).make_queue(kind)
    visitor_count = run.options.visitors
    places = Line(servers.store, kind).fill(visitor_count, chosen=visitor_count)
    write_tokens(tokens, kind, places, read_ring(servers.store))

    def ask_for(seconds: float) -> Ask:
        return visitors(
            method, queue_path(kind, kind), body, tokens, connections=POLL_CONNECTIONS, seconds=seconds
        )

    return ask_for


def _rounds(run: Run, take_turn: Callable[[str, float], Observed]) -> dict[str, list[Observed]]:
    """Put the load on each server in turn, for several rounds, after a warm-up that does not count."""
    seen: dict[str, list[Observed]] = {name: [] for name in NAMES}
    for name in () if run.options.is_quick else NAMES:
        run.doing(f"warming up: {name}")
        take_turn(name, _WARM_UP_S)
    for number in run.rounds():
        for name in NAMES:
            run.doing(f"round {number + 1}: {name}")
            seen[name].append(take_turn(name, run.options.load_s))
    return seen


def _findings(kind: str, seen: dict[str, list[Observed]]) -> list[Finding]:
    rates = {name: tuple(each.load.per_second for each in seen[name]) for name in NAMES}
    return [
        *(Finding(key=f"{kind}.{name}", values=rates[name], note=_busy(seen[name])) for name in NAMES),
        Finding(key=f"{kind}.to_off", values=ratios(rates["fast"], rates["off"])),
        _to_bare(kind, ratios(rates["fast"], rates["bare"]), seen["bare"]),
        Finding(key=f"{kind}.p99", values=tuple(each.load.p99_us / 1000 for each in seen["fast"])),
    ]


def _busy(observed: Sequence[Observed]) -> str:
    """Describe what limited the load: the server, the load generator, or other load on the machine."""
    busy = statistics.median(each.server_share for each in observed)
    delay = statistics.median(each.server_delay for each in observed)
    return f"server ran {busy:.0%} and waited for its processor {delay:.0%} of the time"


def _to_bare(kind: str, values: tuple[float, ...], bare: Sequence[Observed]) -> Finding:
    """Compute the ratios to the bare server. They count only if that server was the limit of its load."""
    busy = statistics.median(each.server_share for each in bare)
    is_ceiling = busy >= _SATURATED
    note = "" if is_ceiling else f"not judged: the bare server ran only {busy:.0%} of the time"
    return Finding(key=f"{kind}.to_bare", values=values, note=note, is_judged=is_ceiling)


STAGES = (
    Stage("enqueue", "joins a second: fast lane, lane off, bare", measure_enqueue, needs_wrk=True),
    Stage("heartbeat", "heartbeats a second: fast lane, lane off, bare", measure_heartbeat, needs_wrk=True),
    Stage("status", "status questions a second: fast lane, lane off, bare", measure_status, needs_wrk=True),
)
