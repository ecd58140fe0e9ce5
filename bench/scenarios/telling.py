"""Sends all figures so far to the process that started Locust, one JSON object per line; only if asked to.

`bench.load` shows progress from them. Locust's own files are meant for reading after the run.
"""

import json
import os
import signal
from typing import Any

import gevent
from locust import runners
from locust.env import Environment
from locust.runners import Runner, WorkerRunner
from locust.stats import StatsEntry

DESCRIPTOR_VARIABLE = "WR_BENCH_TELL"
"""Variable with the number of the open file descriptor to write to."""
END_SIGNAL = signal.SIGUSR1
"""Signal that ends the run normally, as at the end of its time."""
_EVERY_S = 0.5
_REPORT_EVERY_S = 1.0
"""Seconds between reports of workers. Locust's default of three seconds is long for a progress display."""
_PERCENTILES = (0.5, 0.95, 0.99)


def begin(environment: Environment, runner: Runner, **_: Any) -> None:
    """Start to send figures, if this is Locust's main process and the descriptor is given."""
    descriptor = os.environ.get(DESCRIPTOR_VARIABLE)
    if descriptor is None:
        return
    if isinstance(runner, WorkerRunner):
        runners.WORKER_REPORT_INTERVAL = _REPORT_EVERY_S
        return

    def tell(is_final: bool) -> None:
        line = json.dumps(_figures(environment, runner) | {"is_final": is_final})
        os.write(int(descriptor), line.encode() + b"\n")

    def keep_telling() -> None:
        while True:
            tell(is_final=False)
            gevent.sleep(_EVERY_S)

    def tell_the_last(**_: Any) -> None:
        telling.kill()
        tell(is_final=True)

    telling = gevent.spawn(keep_telling)
    environment.events.quitting.add_listener(tell_the_last)
    # Not SIGINT: at SIGINT, Locust does not wait for the last reports of its workers.
    gevent.signal_handler(END_SIGNAL, runner.quit)


def _figures(environment: Environment, runner: Runner) -> dict[str, Any]:
    total = environment.stats.total
    entries = sorted(environment.stats.entries.values(), key=lambda entry: (entry.method or "", entry.name))
    return {
        "users": runner.user_count,
        "requests": total.num_requests,
        "failures": total.num_failures,
        "per_second": total.current_rps or total.total_rps,
        "rows": [_row(entry) for entry in entries],
        "problems": _problems(environment, runner),
    }


def _row(entry: StatsEntry) -> dict[str, Any]:
    """Return the figures of one kind of request; times in milliseconds, None if they are not measured."""
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
