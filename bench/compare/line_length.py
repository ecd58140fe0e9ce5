"""Measures the cost of queue length: processor time of a heartbeat with 1,000, 100,000 and more waiting."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.compare.crowd import Line, read_ring, write_tokens
from bench.compare.figures import Finding, ratios
from bench.compare.operators import OperatorService
from bench.compare.run import Run, Stage
from bench.compare.subjects import observe
from bench.compare.throughput import HEARTBEAT_BODY, POLL_CONNECTIONS, queue_path
from bench.compare.wrk import Ask, visitors
from bench.servers import StoreServer

_VISITORS = 1_000
_MIDDLE = 100_000


class _Crowd(msgspec.Struct, frozen=True):
    """A queue, and its visitors who send heartbeats."""

    key: str
    queue_id: str
    tokens: Path

    def ask(self, seconds: float) -> Ask:
        """Return the load."""
        path = queue_path(self.queue_id, "heartbeat")
        return visitors(
            "POST", path, HEARTBEAT_BODY, self.tokens, connections=POLL_CONNECTIONS, seconds=seconds
        )


def measure_cost(run: Run) -> list[Finding]:
    """Measure processor time of server and store together for each heartbeat, in microseconds.

    All queues are in one store and take turns, so that other load on the machine affects all alike. The same
    number of visitors, from everywhere in the queue, send heartbeats in each; `cost.many` uses twenty times
    as many, whose tokens the server no longer remembers and whose places are no longer all in the processor's
    cache.
    """
    with run.folder() as folder, run.store() as store, run.servers(store) as (server,):
        crowds = _fill(run, OperatorService(server), store, folder)
        seen: dict[str, list[float]] = {crowd.key: [] for crowd in crowds}
        run.doing("warming up")
        for crowd in crowds:
            observe(run, server, store, crowd.ask(1))
        for number in run.rounds():
            for crowd in crowds:
                run.doing(f"round {number + 1}: {crowd.key.rpartition('.')[2]} line")
                seen[crowd.key].append(observe(run, server, store, crowd.ask(run.options.load_s)).cpu_us_each)
    is_judged = run.options.is_full
    return [
        *(Finding(key=key, values=tuple(values), is_judged=is_judged) for key, values in seen.items()),
        Finding(key="cost.ratio", values=ratios(seen["cost.long"], seen["cost.short"]), is_judged=is_judged),
    ]


def _fill(run: Run, operators: OperatorService, store: StoreServer, folder: Path) -> Sequence[_Crowd]:
    people = run.options.people
    lines = (("cost.short", _VISITORS), ("cost.middle", min(_MIDDLE, people)), ("cost.long", people))
    ring = read_ring(store)
    crowds: list[_Crowd] = []
    for key, length in lines:
        queue_id = key.replace(".", "-")
        operators.make_queue(queue_id)
        chosen = _VISITORS * 20 if key == "cost.long" else _VISITORS
        with run.bar(f"{length:,} people join", length) as advance:
            line = Line(store, queue_id)
            places = line.fill(length, chosen=min(chosen, length), advance=advance)
            line.close()
        some = places[:: max(1, len(places) // _VISITORS)]
        crowds.append(_Crowd(key, queue_id, write_tokens(folder / key, queue_id, some, ring)))
        if key == "cost.long":
            tokens = write_tokens(folder / "cost.many", queue_id, places, ring)
            crowds.append(_Crowd("cost.many", queue_id, tokens))
    return crowds


STAGES = (Stage("cost", "processor time of a heartbeat by length of the line", measure_cost, needs_wrk=True),)
