"""Tells the process that started Locust how the run goes, one JSON object a line; silent unless asked for.

`bench.load` shows progress from it: Locust's own files are written for after the run.
"""

import json
import os
from typing import Any

import gevent
from locust.env import Environment
from locust.runners import Runner, WorkerRunner
from locust.stats import StatsEntry

DESCRIPTOR_VARIABLE = "WR_BENCH_TELL"
"""Names the open file descriptor to write to."""
_EVERY_S = 0.5
_PERCENTILES = (0.5, 0.95, 0.99)


def begin(environment: Environment, runner: Runner, **_: Any) -> None:
    """Tell from now on, where Locust collects its figures and somebody wants to hear of them."""
    descriptor = os.environ.get(DESCRIPTOR_VARIABLE)
    if descriptor is None or isinstance(runner, WorkerRunner):
        return

    def tell(what: dict[str, Any]) -> None:
        os.write(int(descriptor), json.dumps(what).encode() + b"\n")

    def tell_progress() -> None:
        while True:
            total = environment.stats.total
            tell(
                {
                    "users": runner.user_count,
                    "requests": total.num_requests,
                    "failures": total.num_failures,
                    "per_second": total.current_rps,
                }
            )
            gevent.sleep(_EVERY_S)

    def tell_result(**_: Any) -> None:
        tell({"rows": _rows(environment), "problems": _problems(environment, runner)})

    gevent.spawn(tell_progress)
    environment.events.quitting.add_listener(tell_result)


def _rows(environment: Environment) -> list[dict[str, Any]]:
    entries = sorted(environment.stats.entries.values(), key=lambda entry: (entry.method or "", entry.name))
    return [_row(entry) for entry in entries]


def _row(entry: StatsEntry) -> dict[str, Any]:
    """Give the figures of one kind of request; times in milliseconds, None where none is taken."""
    is_timed = entry.num_requests > entry.num_none_requests
    percentiles = {
        f"p{int(percentile * 100)}_ms": entry.get_response_time_percentile(percentile) if is_timed else None
        for percentile in _PERCENTILES
    }
    return {
        "method": entry.method,
        "name": entry.name,
        "requests": entry.num_requests,
        "failures": entry.num_failures,
        "per_second": entry.total_rps,
        **percentiles,
        "max_ms": entry.max_response_time if is_timed else None,
    }


def _problems(environment: Environment, runner: Runner) -> list[dict[str, Any]]:
    """Failed requests, and faults of the scenarios themselves."""
    failed = [
        {"what": f"{error.method} {error.name}", "why": str(error.error), "times": error.occurrences}
        for error in environment.stats.errors.values()
    ]
    crashed = [
        {"what": "the scenario", "why": exception["msg"], "times": exception["count"]}
        for exception in runner.exceptions.values()
    ]
    return failed + crashed
