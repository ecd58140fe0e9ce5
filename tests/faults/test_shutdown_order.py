"""What stops when: first HTTP, then the loops, then the store."""

import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
import trio

import wr.server.lifecycle
from tests.support.raw_http import connected
from wr.server.lifecycle import Ready, run
from wr.server.settings import load_settings
from wr.server.startup import StartUpFailure
from wr.store.announcements import Announcements
from wr.store.embedded_store import embedded_store

SETTINGS = {"bind": "127.0.0.1:0", "admin_key": "key", "admission_interval": "0.01"}


class Ends:
    """Watches when the parts of the process end, and what still works then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.order: list[str] = []
        self.passes = 0
        serve, admission = wr.server.lifecycle.serve_lanes, wr.server.lifecycle.run_admission

        async def watched_lanes(*args: Any, **kwargs: Any) -> None:
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

        monkeypatch.setattr(wr.server.lifecycle, "serve_lanes", watched_lanes)
        monkeypatch.setattr(wr.server.lifecycle, "run_admission", watched_admission)
        monkeypatch.setattr(wr.server.lifecycle, "embedded_store", watched_store)


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

    monkeypatch.setattr(wr.server.lifecycle, "run_admission", broken)
    with trio.fail_after(60), pytest.raises(ExceptionGroup) as caught:
        await run(load_settings({**SETTINGS, "data_dir": str(tmp_path)}, {}), stop=trio.Event())
    assert caught.group_contains(ZeroDivisionError)
    assert "store" not in ends.order  # it ended on its way out of the failure …
    with (
        contextlib.closing(socket.socket(socket.AF_UNIX)) as client,
        pytest.raises((FileNotFoundError, ConnectionRefusedError)),
    ):
        client.connect(str(tmp_path / "store.sock"))  # … but it did end


async def test_a_start_that_waits_for_the_store_ends_when_told_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = trio.Event()

    async def never_heard(*args: Any, **kwargs: Any) -> None:
        waits.set()
        await trio.sleep_forever()

    monkeypatch.setattr(Announcements, "listen", never_heard)
    stop = trio.Event()
    with trio.fail_after(60), pytest.raises(ExceptionGroup) as caught:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop_when, waits, stop)
            await run(load_settings({**SETTINGS, "data_dir": str(tmp_path)}, {}), stop=stop)
    assert caught.group_contains(StartUpFailure, match="stopped before")


async def stop_when(reason: trio.Event, stop: trio.Event) -> None:
    await reason.wait()
    stop.set()


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

        monkeypatch.setattr(wr.server.lifecycle, "embedded_store", store_after_the_rival)
        settings = load_settings({**SETTINGS, "bind": bind, "data_dir": str(tmp_path)}, {})
        with trio.fail_after(60), pytest.raises(ExceptionGroup) as caught:
            await run(settings, stop=trio.Event())
        assert caught.group_contains(StartUpFailure, match=f"cannot listen on {bind}: .*in use")
