"""Runs the load generator wrk on one processor, and reads the result that its script prints."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.compare.pinning import Pinning

SCRIPTS = Path(__file__).parent
HOW_TO_GET = "wrk is not there: get it with `apt-get install wrk`; ./scripts/bench does so when run as root"
_PATIENCE_S = 60
_ADDRESSES = 2**24


class NoLoad(Exception):
    """wrk is missing, failed, or printed no result; the message says which."""


class Faulty(Exception):
    """Some answers were errors, so the measurement does not count; the message counts them."""


class Load(msgspec.Struct, frozen=True):
    """The result of one run of wrk. Latencies are wrk's own, in microseconds."""

    requests: int
    duration_us: int
    not_ok: int
    """Answers with status 400 and above. The API never redirects, so all others are 2xx."""
    socket_errors: int
    timeouts: int
    p50_us: int
    p90_us: int
    p99_us: int
    max_us: int

    @property
    def per_second(self) -> float:
        """Requests answered per second."""
        return self.requests / (self.duration_us / 1e6)


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """Load of one kind: a script of this folder and its arguments, connections and seconds."""

    script: str
    arguments: tuple[str, ...]
    connections: int
    seconds: float
    threads: int = 1


def visitors(
    method: str,
    path: str,
    body: str,
    tokens: Path,
    *,
    connections: int,
    seconds: float,
    per_second: float = 0,
) -> Ask:
    """Load of visitors with the tokens in a file, in turn. `per_second` 0 means as many as possible."""
    arguments = (method, path, body, str(tokens), "1", f"{per_second:.3f}")
    return Ask(script="visitors.lua", arguments=arguments, connections=connections, seconds=seconds)


def joiners(
    path: str, body: str, *, connections: int, seconds: float, per_second: float = 0, first_address: int = 0
) -> Ask:
    """Load of visitors who join, each from a different address, counted up from `first_address`."""
    arguments = (path, body, "1", f"{per_second:.3f}", str(first_address % _ADDRESSES))
    return Ask(script="joiners.lua", arguments=arguments, connections=connections, seconds=seconds)


def find_wrk() -> str:
    """Return the path of wrk.

    Raises:
        NoLoad: it is not installed.
    """
    found = shutil.which("wrk")
    if found is None:
        raise NoLoad(HOW_TO_GET)
    return found


def run(url: str, ask: Ask, pinning: Pinning) -> Load:
    """Put load on the server at `url` and wait until it ends.

    Raises:
        NoLoad: wrk is missing or failed.
        Faulty: an answer was not a 2xx, or was lost.
    """
    command = [
        *(*pinning.load_prefix(), find_wrk(), "--latency"),
        *("-t", str(ask.threads), "-c", str(ask.connections), "-d", f"{max(1, round(ask.seconds))}s"),
        *("--timeout", "10s", "-s", str(SCRIPTS / ask.script), url, "--", *ask.arguments),
    ]
    done = subprocess.run(  # noqa: S603 - built from known parts
        command, capture_output=True, text=True, check=False, timeout=ask.seconds + _PATIENCE_S
    )
    if done.returncode != 0:
        raise NoLoad(f"wrk ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-500:]}")
    return checked(read_load(done.stdout))


def read_load(output: str) -> Load:
    """Read what wrk printed.

    Raises:
        NoLoad: there is no outcome in it.
    """
    for line in reversed(output.splitlines()):
        if line.startswith('{"requests"'):
            return msgspec.json.decode(line, type=Load)
    raise NoLoad(f"wrk printed no outcome: {output.strip()[-500:]}")


def checked(load: Load) -> Load:
    """Return the load if it had no errors.

    Raises:
        Faulty: it has some, or there was no answer at all.
    """
    faults: Sequence[tuple[int, str]] = (
        (load.not_ok, "answers that were not 2xx"),
        (load.socket_errors, "socket errors"),
        (load.timeouts, "answers that took over 10 s"),
    )
    found = [f"{count:,} {what}" for count, what in faults if count]
    if not load.requests:
        found.append("no answer at all")
    if found:
        raise Faulty(f"{', '.join(found)} among {load.requests:,} requests")
    return load
