"""What stops when: first HTTP, then the loops, then the store; and one connection's failure stops nothing."""

import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
import trio
from hypercorn.config import Config
from hypercorn.events import RawData

import wr.process
import wr.serve.connections
from tests.support.raw_http import CutOff, connected
from wr.process import Ready, StartUpFailure, run
from wr.serve.connections import serve_connections
from wr.settings import load_settings
from wr.store.embedded import embedded_store

SETTINGS = {"bind": "127.0.0.1:0", "admin_key": "key", "admission_interval": "0.01"}


class Ends:
    """Watches when the parts of the process end, and what still works then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.order: list[str] = []
        self.passes = 0
        serve, admission = wr.process.serve_general_lane, wr.process.run_admission

        async def watched_lane(*args: Any, **kwargs: Any) -> None:
            await serve(*args, **kwargs)
            self.order.append("HTTP")
            # With nobody left to serve, the loops still run: the order is one of ends, not of luck.
            before = self.passes
            while self.passes < before + 3:
                await trio.lowlevel.checkpoint()

        async def watched_admission(store: Any, *args: Any, **kwargs: Any) -> None:
            admit = store.admit

            async def counted_admit(queue_ids: Any) -> Any:
                passes = await admit(queue_ids)
                self.passes += 1
                return passes

            store.admit = counted_admit
            try:
                await admission(store, *args, **kwargs)
            finally:
                self.order.append("loops")

        @asynccontextmanager
        async def watched_store(*args: Any, **kwargs: Any) -> AsyncIterator[str]:
            async with embedded_store(*args, **kwargs) as url:
                yield url
                with redis.Redis.from_url(url, protocol=2) as client:
                    assert client.ping(), "the store must outlive everybody who uses it"
            self.order.append("store")

        monkeypatch.setattr(wr.process, "serve_general_lane", watched_lane)
        monkeypatch.setattr(wr.process, "run_admission", watched_admission)
        monkeypatch.setattr(wr.process, "embedded_store", watched_store)


async def test_first_http_stops_then_the_loops_then_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = Ends(monkeypatch)
    stop = trio.Event()
    queue = b'{"id": "q", "target_url": "https://shop.example/"}'
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:

            async def serve(task_status: trio.TaskStatus[Ready]) -> None:
                settings = load_settings({**SETTINGS, "data_dir": str(tmp_path)}, {})
                await run(settings, stop=stop, task_status=task_status)

            ready = await nursery.start(serve)
            host, _, port = ready.url.removeprefix("http://").partition(":")
            async with connected((host, int(port))) as connection:
                head = {"Content_Type": "application/json", "Content_Length": str(len(queue))}
                await connection.start("POST", "/api/v1/admin/queues", X_Admin_Key="key", **head)
                stop.set()
                answer = await connection.finish(queue)
                assert (answer.status, ends.order) == (201, [])
    assert ends.order == ["HTTP", "loops", "store"]


async def test_when_a_loop_fails_for_good_the_store_still_ends_last_with_its_data_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = Ends(monkeypatch)

    async def broken(*args: Any, task_status: Any, **kwargs: Any) -> None:
        task_status.started()
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr(wr.process, "run_admission", broken)
    with trio.fail_after(60), pytest.raises(ExceptionGroup) as caught:
        await run(load_settings({**SETTINGS, "data_dir": str(tmp_path)}, {}), stop=trio.Event())
    assert caught.group_contains(ZeroDivisionError)
    assert "store" not in ends.order  # it ended on its way out of the failure …
    with (
        contextlib.closing(socket.socket(socket.AF_UNIX)) as client,
        pytest.raises((FileNotFoundError, ConnectionRefusedError)),
    ):
        client.connect(str(tmp_path / "store.sock"))  # … but it did end


async def test_a_port_that_another_takes_during_the_start_is_one_line_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as rival:
        # Two sockets may be bound to one port; the first to listen has it.
        rival.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        rival.bind(("127.0.0.1", 0))
        bind = f"127.0.0.1:{rival.getsockname()[1]}"

        @asynccontextmanager
        async def store_after_the_rival(*args: Any, **kwargs: Any) -> AsyncIterator[str]:
            rival.listen()
            async with embedded_store(*args, **kwargs) as url:
                yield url

        monkeypatch.setattr(wr.process, "embedded_store", store_after_the_rival)
        settings = load_settings({**SETTINGS, "bind": bind, "data_dir": str(tmp_path)}, {})
        with trio.fail_after(60), pytest.raises(ExceptionGroup) as caught:
            await run(settings, stop=trio.Event())
        assert caught.group_contains(StartUpFailure, match=f"cannot listen on {bind}: .*in use")


async def hello(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/never":
        await trio.sleep_forever()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@asynccontextmanager
async def serving(app: Any, grace_s: float) -> AsyncIterator[tuple[str, int]]:
    """Serve an application until the block ends, and then as long as its shutdown takes."""
    stop = trio.Event()
    with socket.socket() as listener, trio.fail_after(60):
        listener.bind(("127.0.0.1", 0))
        address = listener.getsockname()
        async with trio.open_nursery() as nursery:

            async def serve(task_status: trio.TaskStatus[None]) -> None:
                await serve_connections(
                    app, Config(), listener, grace_s=grace_s, until=stop.wait, task_status=task_status
                )

            await nursery.start(serve)
            yield address
            stop.set()


async def test_a_connection_that_fails_in_a_way_nobody_foresaw_ends_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Failing(wr.serve.connections.TCPServer):
        async def _read_data(self) -> None:
            data = await self.stream.receive_some()
            if b"/fail" in data:
                raise ZeroDivisionError("a mistake in the protocol")
            await self.protocol.handle(RawData(bytes(data)))
            await super()._read_data()

    monkeypatch.setattr(wr.serve.connections, "TCPServer", Failing)
    async with serving(hello, grace_s=5) as address, connected(address) as other:
        async with connected(address) as failing:
            with pytest.raises(CutOff):
                await failing.request("GET", "/fail")
        assert (await other.request("GET", "/")).body == b"hello"


async def test_a_request_that_never_gets_its_answer_ends_with_the_grace_whatever_comes_after_it() -> None:
    never = b"GET /never HTTP/1.1\r\nHost: wr\r\n\r\n"
    async with serving(hello, grace_s=0.2) as address:
        client = await trio.open_tcp_stream(*address)
        # With a second request behind it, the server does not read, and so does not see the connection close.
        await client.send_all(never + never)
        async with connected(address) as other:
            assert (await other.request("GET", "/")).body == b"hello"
    await client.aclose()
