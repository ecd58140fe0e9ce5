"""Live streams when something goes wrong: clients vanish, servers stop, stores die, replicas share work."""

import contextlib
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from trio_websocket import ConnectionClosed

from tests.contract.helpers import claims_of
from tests.support.engines import running_engine
from tests.support.processes import ServerProcess, eventually, running_server_process
from tests.support.site import Site
from tests.support.sockets import websocket
from tests.support.websocket_bytes import everything_from, opened, websocket_head
from wr.rehearse.websocket import WebSocket, upgrade

QUICK = {"live_interval": "0.2", "ping_interval": "0.3"}
SHORT = {"heartbeat_interval_seconds": 1, "heartbeat_timeout_seconds": 2}


async def listen(nursery: trio.Nursery, server: ServerProcess, queue_id: str, token: str) -> WebSocket:
    host, port = server.address
    stream = await trio.open_tcp_stream(host, port)
    headers = [(b"Authorization", b"Bearer " + token.encode())]
    return await upgrade(nursery, stream, host.encode(), f"/ws/queues/{queue_id}".encode(), headers)


async def in_thread(call: Any) -> Any:
    return await trio.to_thread.run_sync(call)


def position(site: Site, queue_id: str, token: str) -> int:
    answer = site.status(queue_id, token)
    return int(answer.json()["position"]) if answer.status_code == 200 else 0


async def test_a_client_that_vanishes_loses_its_place_like_anybody_silent(tmp_path: Path) -> None:
    with running_server_process(tmp_path, **QUICK) as server, server.site() as site:
        queue_id = site.make_queue(status="paused", **SHORT)
        token = site.join(queue_id).json()["token"]
        async with trio.open_nursery() as nursery:
            listener = await listen(nursery, server, queue_id, token)
            assert await listener.message() is not None
            await listener.aclose()
        await in_thread(lambda: eventually(lambda: not position(site, queue_id, token), "the place is lost"))
        assert site.status(queue_id, token).json()["error"]["details"]["reason"] == "heartbeat_timeout"


async def test_a_peer_that_answers_no_ping_is_dropped_and_keeps_no_place(tmp_path: Path) -> None:
    with running_server_process(tmp_path, **QUICK) as server, server.site() as site:
        queue_id = site.make_queue(status="paused", **SHORT)
        silent, lively = (site.join(queue_id).json()["token"] for _ in range(2))
        # One reads and answers; the other is connected and does nothing at all, as when its network is gone.
        half_open = opened(server, websocket_head(queue_id, silent))
        async with websocket(site, queue_id, lively) as socket:
            await socket.message()
            await in_thread(lambda: eventually(lambda: not position(site, queue_id, silent), "it is dropped"))
            assert (await socket.message())["data"]["position"] == 1
        with half_open:
            received = await in_thread(lambda: everything_from(half_open))
        # The last frame is a close frame, whose data begins with the code.
        _, _, close = received.rpartition(b"\x88")
        assert int.from_bytes(close[1:3]) == 1008


async def test_500_streams_are_all_closed_properly_when_the_server_stops(tmp_path: Path) -> None:
    with running_server_process(tmp_path) as server, server.site() as site:
        queue_id = site.make_queue(status="paused")
        tokens = [site.join(queue_id).json()["token"] for _ in range(500)]
        codes: list[int | None] = []

        async def follow(listener: WebSocket) -> None:
            while await listener.message() is not None:
                pass
            codes.append(listener.close_code)
            await listener.aclose()

        async with trio.open_nursery() as nursery:
            for token in tokens:
                nursery.start_soon(follow, await listen(nursery, server, queue_id, token))
            await trio.testing.wait_all_tasks_blocked(0.1)
            server.send(15)
            assert await in_thread(server.ended) == 0
        assert codes == [1012] * 500
    with running_server_process(tmp_path) as server, server.site() as site:
        assert position(site, queue_id, tokens[-1]) == 500


async def test_streams_survive_the_death_of_the_store_and_say_nothing_false(tmp_path: Path) -> None:
    with running_server_process(tmp_path, **QUICK) as server, server.site() as site:
        queue_id = site.make_queue(status="paused")
        ahead, token = (site.join(queue_id).json()["token"] for _ in range(2))
        async with websocket(site, queue_id, token) as socket:
            assert (await socket.message())["data"]["position"] == 2
            pid = server.store_pid
            server.kill_store()
            await in_thread(
                lambda: eventually(lambda: server.store_pid not in (0, pid), "another store runs")
            )
            await in_thread(
                lambda: eventually(
                    lambda: site.call("DELETE", f"/queues/{queue_id}/position", ahead).is_success, "it serves"
                )
            )
            # The next word is the truth after the outage, and nothing came between.
            assert (await socket.message())["data"]["position"] == 1


async def test_joined_at_one_replica_and_streaming_from_the_other_the_admission_comes_once(
    tmp_path: Path,
) -> None:
    folders = [tmp_path / name for name in ("store", "one", "two")]
    for folder in folders:
        folder.mkdir()
    with running_engine("valkey", folders[0]) as engine:
        shared = {**QUICK, "live_interval": "5", "store_url": engine.url}
        with (
            running_server_process(folders[1], **shared) as one,
            running_server_process(folders[2], **shared) as two,
            one.site() as site,
            two.site() as other,
        ):
            queue_id = site.make_queue(status="paused")
            tokens = [site.join(queue_id).json()["token"] for _ in range(20)]
            heard: dict[str, list[str]] = {token: [] for token in tokens}

            async def follow(number: int, token: str) -> None:
                where = other if number % 2 else site
                async with websocket(where, queue_id, token) as socket:
                    while True:
                        message = await socket.message()
                        heard[token].append(message["type"])
                        if message["type"] == "admitted":
                            assert await socket.close_code() == 1000
                            return

            async with trio.open_nursery() as nursery:
                for number, token in enumerate(tokens):
                    nursery.start_soon(follow, number, token)
                await trio.testing.wait_all_tasks_blocked(0.2)
                await in_thread(
                    lambda: other.admin(
                        "PATCH", f"/queues/{queue_id}", {"status": "active", "admission_rate": 100}
                    )
                )
            assert all(types.count("admitted") == 1 for types in heard.values())


async def test_a_flood_of_messages_hurts_nobody_else(tmp_path: Path) -> None:
    with running_server_process(tmp_path, limit_heartbeat="30/60", **QUICK) as server, server.site() as site:
        queue_id = site.make_queue(status="paused")
        ahead, flooding, calm = (site.join(queue_id).json()["token"] for _ in range(3))
        async with websocket(site, queue_id, calm) as quiet, websocket(site, queue_id, flooding) as loud:
            await quiet.message()
            with contextlib.suppress(ConnectionClosed), trio.fail_after(10):
                for _ in range(5000):
                    await loud.connection.send_message('{"type": "heartbeat"}')
            # Its code arrives, or the connection is gone before it can: what was sent is in the way.
            assert await loud.close_code() in (1008, 1006)
            await in_thread(lambda: site.call("DELETE", f"/queues/{queue_id}/position", ahead))
            assert (await quiet.message())["data"]["position"] == 2


def test_a_connection_that_breaks_during_the_handshake_leaves_no_trace(tmp_path: Path) -> None:
    with running_server_process(tmp_path, **QUICK) as server, server.site() as site:
        for _ in range(20):
            with socket.create_connection(server.address) as broken:
                broken.sendall(b"GET /ws/queues/demo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n")
        assert site.http.get("/health").json()["status"] == "healthy"
        assert "Traceback" not in server.log


async def until_token(listener: WebSocket) -> str:
    with trio.fail_after(10):
        while True:
            message = await listener.message()
            assert message is not None
            if message["type"] == "token":
                return str(message["data"]["token"])


@pytest.mark.parametrize("fast_lane", ["on", "off"])
async def test_a_stream_that_outlives_its_token_brings_fresh_ones_and_each_opens_it_again(
    tmp_path: Path, fast_lane: str
) -> None:
    settings = {**QUICK, "position_token_lifetime": "2", "fast_lane": fast_lane}
    with running_server_process(tmp_path, **settings) as server, server.site() as site:
        queue_id = site.make_queue(status="paused", heartbeat_interval_seconds=5)
        stale = site.join(queue_id).json()["token"]
        async with trio.open_nursery() as nursery:
            listener = await listen(nursery, server, queue_id, stale)
            tokens = [stale, *[await until_token(listener) for _ in range(3)]]
            await listener.aclose()
        # Three renewals, each after half of two seconds: the first two are over.
        assert len(set(tokens)) == 4
        assert claims_of(tokens[0])["exp"] <= time.time()
        for token in (tokens[-1], stale):
            async with trio.open_nursery() as nursery:
                again = await listen(nursery, server, queue_id, token)
                first = await again.message()
                assert first is not None
                assert (first["type"], first["data"]["position"]) == ("position_update", 1)
                await again.aclose()
        with site.http.stream(
            "GET", f"/api/v1/queues/{queue_id}/events", headers={"Authorization": f"Bearer {stale}"}
        ) as events:
            lines = (line for line in events.iter_lines() if line.startswith("event:"))
            assert [next(lines), next(lines)] == ["event: position_update", "event: token"]
