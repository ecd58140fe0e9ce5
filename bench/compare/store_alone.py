"""Measures the store alone: one process calls the same scripts with 1, 16 and 256 items per call."""

import time
from collections.abc import Sequence
from typing import Any

from bench.compare.crowd import Line, newcomer
from bench.compare.figures import Finding
from bench.compare.operators import OperatorService
from bench.compare.run import Run, Stage
from wr.model.limits import Limit
from wr.store.enqueue import EnqueueScript
from wr.store.key_names import KeyNames
from wr.store.poll import Poll, PollKind, PollScript
from wr.store.script import Script, ScriptCall, evaluate

BATCHES = (1, 16, 256)
_QUEUE = "ceiling"
_PEOPLE = 5_000
_COUNTED = Limit(999_999_999)


def measure_store(run: Run) -> list[Finding]:
    """Measure microseconds for each item, from the call until redis-py returns the reply."""
    calls = 20 if run.options.is_quick else 400
    with run.store() as store, run.servers(store) as (server,):
        OperatorService(server).make_queue(_QUEUE)
        line = Line(store, _QUEUE)
        places = line.fill(_PEOPLE, chosen=_PEOPLE)
        joins = EnqueueScript(KeyNames(), _COUNTED)
        polls = PollScript(KeyNames(), _COUNTED, _COUNTED)
        asked = 0

        def join_calls(batch: int) -> ScriptCall:
            return joins.call(_QUEUE, 0, [newcomer(number) for number in range(batch)])

        def poll_calls(batch: int) -> ScriptCall:
            nonlocal asked
            ids = [places[(asked + number) % _PEOPLE].position_id for number in range(batch)]
            asked += batch
            return polls.call(_QUEUE, 0, [Poll(who, PollKind.HEARTBEAT, who) for who in ids])

        kinds = (("join", joins.script, join_calls), ("poll", polls.script, poll_calls))
        seen: dict[str, list[float]] = {
            f"store.{name}.{batch}": [] for name, _, _ in kinds for batch in BATCHES
        }
        with run.pinning.here_as_server():
            for _ in run.rounds():
                for name, script, make in kinds:
                    for batch in BATCHES:
                        prepared = [make(batch) for _ in range(calls)]
                        seen[f"store.{name}.{batch}"].append(_us_each(line.client, script, prepared, batch))
    return [Finding(key=key, values=tuple(values)) for key, values in seen.items()]


def _us_each(client: Any, script: Script[object], prepared: Sequence[ScriptCall], batch: int) -> float:
    began = time.perf_counter()
    for keys, arguments in prepared:
        evaluate(client, script, keys, arguments)
    return (time.perf_counter() - began) / (len(prepared) * batch) * 1e6


STAGES = (Stage("store", "the same scripts without a server: microseconds for each item", measure_store),)
