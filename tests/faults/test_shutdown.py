"""SIGTERM and Ctrl-C: nobody new, what is under way is answered, the store saves last, exit code 0."""

import signal
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path

import h11
import orjson
import pytest
import trio

from tests.support.crowd import until
from tests.support.engines import free_port
from tests.support.processes import ServerProcess, eventually, running_server_process
from tests.support.raw_http import RawConnection, Response, connected
from tests.support.site import BASE, new_address
from wr.server.shutdown import IMPATIENCE_S

STOP_SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
LONG = "60"


@dataclass
class Regulars:
    """Visitors on connections of their own that send one request after another, whatever happens."""

    server: ServerProcess
    queue_id: str
    tokens: dict[int, str] = field(default_factory=dict)
    told_to_go: int = 0
    cut_off: list[str] = field(default_factory=list)

    async def visit(self) -> None:
        """Keep a connection busy; connect again when told that it ends; stop when nobody listens."""
        address = self.server.address
        while True:
            try:
                async with connected(address) as connection:
                    while await self._join_and_beat(connection):
                        pass
            except OSError:
                return
            except Exception as error:  # noqa: BLE001 - cut off, or an answer that is none: the test fails
                self.cut_off.append(repr(error))

    async def _join_and_beat(self, connection: RawConnection) -> bool:
        path = f"{BASE}/queues/{self.queue_id}"
        joined = await connection.request("POST", f"{path}/enqueue", X_Forwarded_For=new_address())
        assert joined.status == 201, joined
        body = orjson.loads(joined.body)
        self.tokens[body["position"]] = body["token"]
        if self._must_go(joined):
            return False
        beat = await connection.request("POST", f"{path}/heartbeat", Authorization=f"Bearer {body['token']}")
        assert beat.status == 200, beat
        return not self._must_go(beat)

    def _must_go(self, response: Response) -> bool:
        must_go = response.headers.get("connection") == "close"
        self.told_to_go += must_go
        return must_go


def nobody_listens(server: ServerProcess) -> bool:
    try:
        socket.create_connection(server.address, timeout=5).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False  # Half-way in when it closed: the next look tells.
    return False


async def half_a_join(connection: RawConnection, queue_id: str) -> None:
    """Begin to join, and wait until the server has read the head of the request."""
    await connection.start(
        "POST",
        f"{BASE}/queues/{queue_id}/enqueue",
        Content_Type="application/json",
        Content_Length="14",
        Expect="100-continue",
    )
    assert isinstance(await connection.next_event(), h11.InformationalResponse)


async def test_under_load_every_request_that_was_sent_is_answered_and_everyone_is_in_line_after_a_restart(
    tmp_path: Path,
) -> None:
    with running_server_process(tmp_path) as server:
        with server.site() as site:
            queue_id = site.make_queue(status="paused", heartbeat_timeout_seconds=600)
        regulars = Regulars(server, queue_id)
        async with trio.open_nursery() as nursery:
            for _ in range(12):
                nursery.start_soon(regulars.visit)
            await until(lambda: len(regulars.tokens) >= 60, "people have joined")
            server.send(signal.SIGTERM)
        assert regulars.cut_off == []
        assert regulars.told_to_go > 0
        assert await trio.to_thread.run_sync(server.ended) == 0
        assert server.store_has_ended(), "the store is stopped before the server ends"
        assert "Traceback" not in server.log

    with running_server_process(tmp_path) as server, server.site() as site:
        for position, token in regulars.tokens.items():
            assert site.status(queue_id, token).json()["position"] == position


@STOP_SIGNALS
async def test_a_request_under_way_is_answered_after_the_server_has_stopped_listening(
    tmp_path: Path, number: int
) -> None:
    with running_server_process(tmp_path, grace=LONG) as server:
        with server.site() as site:
            queue_id = site.make_queue(status="paused")
        async with connected(server.address) as connection:
            await half_a_join(connection, queue_id)
            server.send(number)
            await until(lambda: nobody_listens(server), "nobody new is accepted")
            answer = await connection.finish(b'{"priority":0}')
            assert (answer.status, answer.headers["connection"]) == (201, "close")
        assert await trio.to_thread.run_sync(server.ended) == 0


async def test_who_is_connected_but_not_yet_accepted_is_served_too(tmp_path: Path) -> None:
    with running_server_process(tmp_path, grace=LONG) as server:
        server.send(signal.SIGSTOP)  # so that the kernel takes the connections, and the server does not
        try:
            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(_healthy_and_told_to_go, server.address)
                await until(lambda: _connections_to(server.address) == 20, "20 are connected")
                server.send(signal.SIGTERM)
                server.send(signal.SIGCONT)
        finally:
            server.send(signal.SIGCONT)
        assert await trio.to_thread.run_sync(server.ended) == 0


async def _healthy_and_told_to_go(address: tuple[str, int]) -> None:
    async with connected(address) as connection:
        assert (await connection.request("GET", "/health")).status == 200


def _connections_to(address: tuple[str, int]) -> int:
    """Count the established connections whose far end is that port."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[2].endswith(f":{address[1]:04X}") and line.split()[3] == "01" for line in lines)


async def test_a_signal_that_comes_twice_at_once_is_one_wish(tmp_path: Path) -> None:
    with running_server_process(tmp_path, grace=LONG) as server:
        with server.site() as site:
            queue_id = site.make_queue(status="paused")
        async with connected(server.address) as connection:
            await half_a_join(connection, queue_id)
            # As from a terminal that signals a process and its parent, which hands the signal on.
            server.send(signal.SIGINT)
            server.send(signal.SIGTERM)
            await until(lambda: nobody_listens(server), "it is stopping")
            assert (await connection.finish(b'{"priority":0}')).status == 201
        assert await trio.to_thread.run_sync(server.ended) == 0
        assert "stopped" in server.log.splitlines()[-1]


async def test_requests_that_are_cut_and_events_that_nobody_takes_share_one_grace(tmp_path: Path) -> None:
    grace_s = 4
    nowhere = f"nats://127.0.0.1:{free_port()}"
    with running_server_process(tmp_path, grace=str(grace_s), nats_url=nowhere) as server:
        with server.site() as site:
            queue_id = site.make_queue(status="paused")
        async with connected(server.address) as connection:
            await half_a_join(connection, queue_id)
            asked_at = time.monotonic()
            server.send(signal.SIGTERM)
            assert await trio.to_thread.run_sync(server.ended) == 0
            assert time.monotonic() - asked_at < 2 * grace_s - 1
        assert "connections are cut" in server.log
        assert "events are lost" in server.log
        assert server.store_has_ended()


@STOP_SIGNALS
async def test_a_second_signal_a_second_later_ends_it_at_once(tmp_path: Path, number: int) -> None:
    with running_server_process(tmp_path, grace=LONG) as server:
        with server.site() as site:
            queue_id = site.make_queue()
        async with connected(server.address) as connection:
            await half_a_join(connection, queue_id)
            server.send(number)
            await until(lambda: nobody_listens(server), "it is stopping")
            # Sooner, it would be the same wish: what tells is the time that passes.
            await trio.sleep(IMPATIENCE_S)
            asked_at = time.monotonic()
            server.send(number)
            assert await trio.to_thread.run_sync(server.ended) == 128 + number
            assert time.monotonic() - asked_at < float(LONG) / 2
        eventually(server.store_has_ended, "the store has ended")
