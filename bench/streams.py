"""Measures live streams: how many a server holds, their cost, and their delay.

Visitors join at one server and hold their WebSocket at another one, on one store. Either server may run the
admission pass. Measured: memory of the streaming server for each stream, updates per second while the queue
moves, and the time from each admission (according to the session token) to its message.

Known bias: clients, servers and store share one machine's processors and clock.
"""

import statistics
import sys
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import click
import httpx
import jwt
import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench.servers import ADMIN_KEY, Server, running_servers
from wr.rehearse.websocket import WebSocket, upgrade

QUEUE = "streams"
_JOINERS = 16
_OPENERS = 32


@dataclass
class Heard:
    """The messages of all streams together."""

    updates: int = 0
    admitted: dict[int, int] = field(default_factory=dict)
    latencies_ms: list[float] = field(default_factory=list)
    close_codes: dict[int | None, int] = field(default_factory=dict)
    lost: int = 0


@click.command()
@click.option("--streams", default=3000, show_default=True, help="Streams to hold open.")
@click.option("--rate", default=100, show_default=True, help="Visitors admitted per second.")
@click.option(
    "--hold", default=10.0, show_default=True, help="Seconds to hold all streams before admission starts."
)
@click.option("--interval", default=2.0, show_default=True, help="Seconds between updates of a stream.")
def main(streams: int, rate: int, hold: float, interval: float) -> None:
    """Hold thousands of live streams on one server, then admit all visitors."""
    with running_servers(2, live_interval=str(interval)) as (front, back):
        sys.exit(trio.run(_measure, front, back, streams, rate, hold))


async def _measure(front: Server, back: Server, streams: int, rate: int, hold_s: float) -> int:
    heard = Heard()
    _make_queue(front, rate)
    columns = (TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tokens = await _join_all(front, streams, progress)
        before = back.resident_bytes()
        async with trio.open_nursery() as nursery:
            await _open_all(back, tokens, heard, nursery, progress)
            bar = progress.add_task("holding", total=int(hold_s))
            for _ in range(int(hold_s)):
                await trio.sleep(1)
                progress.advance(bar)
            per_stream = (back.resident_bytes() - before) / streams
            opening_updates = heard.updates
            began, cpu = trio.current_time(), back.cpu_s()
            _set_status(front, "active")
            bar = progress.add_task("letting in", total=streams)
            deadline = began + streams / rate * 2 + 30
            while sum(heard.admitted.values()) + heard.lost < streams and trio.current_time() < deadline:
                await trio.sleep(0.2)
                progress.update(bar, completed=len(heard.admitted))
            took = trio.current_time() - began
            cpu = back.cpu_s() - cpu
            await trio.sleep(1)
            nursery.cancel_scope.cancel()
    return _report(heard, streams, per_stream, (heard.updates - opening_updates) / took, cpu / took)


async def _join_all(server: Server, count: int, progress: Progress) -> list[str]:
    bar = progress.add_task("joining", total=count)
    tokens: list[str] = []
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client, trio.open_nursery() as nursery:

        async def join(share: int) -> None:
            for _ in range(share):
                response = await client.post(f"/api/v1/queues/{QUEUE}/enqueue")
                response.raise_for_status()
                tokens.append(response.json()["token"])
                progress.advance(bar)

        for worker in range(_JOINERS):
            nursery.start_soon(join, count // _JOINERS + (worker < count % _JOINERS))
    return tokens


async def _open_all(
    server: Server, tokens: list[str], heard: Heard, nursery: trio.Nursery, progress: Progress
) -> None:
    bar = progress.add_task("opening streams", total=len(tokens))
    target = urlsplit(server.url)
    waiting = iter(enumerate(tokens))
    async with trio.open_nursery() as openers:

        async def open_some() -> None:
            for number, token in waiting:
                stream = await trio.open_tcp_stream(str(target.hostname), target.port or 80)
                headers = [(b"Authorization", b"Bearer " + token.encode())]
                listener = await upgrade(
                    nursery, stream, target.netloc.encode(), f"/ws/queues/{QUEUE}".encode(), headers
                )
                nursery.start_soon(_listen, number, listener, heard)
                progress.advance(bar)

        for _ in range(_OPENERS):
            openers.start_soon(open_some)


async def _listen(number: int, listener: WebSocket, heard: Heard) -> None:
    while (message := await listener.message()) is not None:
        now_ms = time.time() * 1000
        if message["type"] == "admitted":
            token = message["data"]["session_token"]
            claims = jwt.decode(token, options={"verify_signature": False})
            heard.latencies_ms.append(now_ms - claims["admitted_ms"])
            heard.admitted[number] = heard.admitted.get(number, 0) + 1
        else:
            heard.updates += 1
    if number not in heard.admitted:
        heard.lost += 1
    heard.close_codes[listener.close_code] = heard.close_codes.get(listener.close_code, 0) + 1
    await listener.aclose()


def _make_queue(server: Server, rate: int) -> None:
    settings = {
        "id": QUEUE,
        "target_url": "https://shop.example/",
        "status": "paused",
        "admission_rate": rate,
        "max_active_users": 1_000_000,
        "max_queue_size": 0,
        "heartbeat_timeout_seconds": 300,
    }
    headers = {"X-Admin-Key": ADMIN_KEY}
    httpx.post(f"{server.url}/api/v1/admin/queues", json=settings, headers=headers).raise_for_status()


def _set_status(server: Server, status: str) -> None:
    url = f"{server.url}/api/v1/admin/queues/{QUEUE}"
    httpx.patch(url, json={"status": status}, headers={"X-Admin-Key": ADMIN_KEY}).raise_for_status()


def _report(heard: Heard, streams: int, per_stream: float, updates_per_s: float, cpu_share: float) -> int:
    latencies = sorted(heard.latencies_ms) or [float("nan")]
    more_than_once = sum(count > 1 for count in heard.admitted.values())
    table = Table(title=f"{streams} live streams on one process")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_row("streams told of their admission, once each", str(len(heard.admitted) - more_than_once))
    table.add_row("told more than once", str(more_than_once))
    table.add_row("streams lost", str(heard.lost))
    table.add_row("memory for each stream", f"{per_stream / 1024:.1f} KiB")
    table.add_row("updates per second while the queue moves", f"{updates_per_s:.0f}")
    table.add_row("share of one core meanwhile", f"{cpu_share:.0%}")
    table.add_row("admission to message, median", f"{statistics.median(latencies):.0f} ms")
    table.add_row("admission to message, 99th percentile", f"{latencies[int(len(latencies) * 0.99)]:.0f} ms")
    Console().print(table)
    is_right = len(heard.admitted) == streams and not more_than_once and not heard.lost
    if not is_right:
        click.echo("bench: not every stream received its admission exactly once", err=True)
    return 0 if is_right else 1


if __name__ == "__main__":
    main()
