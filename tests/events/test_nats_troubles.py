"""NATS servers that take some events, or none, or are not there: each is told of, none holds up the rest."""

import asyncio
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest

from tests.support.engines import free_port
from tests.support.nats import BINARY, NatsServer
from tests.support.processes import eventually, running_server_process, serve_command
from tests.support.site import Site
from wr.model.events import EventType


def counted(site: Site, what: str) -> float:
    lines = site.http.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f'{what}{{receiver="nats"}}'))


def nats_of(site: Site) -> str:
    return str(site.http.get("/health").json()["components"]["nats"])


def stored_in(server: NatsServer, stream: str) -> int:
    async def ask() -> int:
        client = await nats.connect(server.url)
        count = (await client.jetstream().stream_info(stream)).state.messages
        await client.close()
        return count

    return asyncio.run(ask())


def test_events_that_no_stream_takes_are_dropped_and_told_of_and_do_not_hold_up_the_others(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    nats_server.make_stream(name="OURS", subjects=["waitingroom.queue.>", "waitingroom.position.>"])
    with (
        running_server_process(tmp_path / "data", nats_url=nats_server.url) as server,
        server.site() as site,
    ):
        queue_id = site.make_queue()
        for _ in range(3):
            site.admitted(queue_id, site.join(queue_id).json()["token"])
        site.make_queue()
        # Two queues, three people in line and let in; nobody keeps that their sessions began.
        eventually(lambda: stored_in(nats_server, "OURS") == 8, "what has a stream is stored")
        eventually(lambda: counted(site, "wr_events_waiting") == 0, "nothing waits")
        assert counted(site, "wr_events_dropped_total") == 3
        assert counted(site, "wr_events_delivered_total") == 8
        assert nats_of(site) == "healthy"
        assert server.log.count("no stream of NATS takes some events") == 1
        assert EventType.SESSION_STARTED.subject in server.log
        assert server.log.count("NATS refuses an event") == 1
        assert "NATS does not take events" not in server.log


def test_an_event_that_is_too_big_is_dropped_and_those_after_it_are_told(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    nats_server.make_stream(name="WAITINGROOM", subjects=["waitingroom.>"], max_msg_size=500)
    with (
        running_server_process(tmp_path / "data", nats_url=nats_server.url) as server,
        server.site() as site,
    ):
        # That a queue was made says all its settings.
        queue_id = site.make_queue(status="paused")
        site.join(queue_id)
        told = eventually(nats_server.stored, "what came after it is told")
        assert [event["type"] for _, event in told] == [EventType.POSITION_ENQUEUED]
        eventually(lambda: counted(site, "wr_events_waiting") == 0, "nothing waits")
        assert counted(site, "wr_events_dropped_total") == 1
        assert server.log.count("NATS refuses an event") == 1


def test_a_stream_that_is_full_is_not_healthy_and_drops_are_counted(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    nats_server.make_stream(name="WAITINGROOM", subjects=["waitingroom.>"], max_msgs=2, discard="new")
    with (
        running_server_process(tmp_path / "data", nats_url=nats_server.url) as server,
        server.site() as site,
    ):
        queue_id = site.make_queue(status="paused")
        for _ in range(3):
            site.join(queue_id)
        eventually(lambda: counted(site, "wr_events_dropped_total") == 2, "what does not fit is dropped")
        assert nats_of(site) == "unhealthy"
        assert counted(site, "wr_events_delivered_total") == 2
        assert server.log.count("NATS does not take events") == 1
        assert server.log.count("NATS refuses an event") == 1


def test_a_nats_that_is_not_there_at_the_start_is_told_of_and_counted(tmp_path: Path) -> None:
    url = f"nats://127.0.0.1:{free_port()},nats://127.0.0.1:{free_port()}"
    with running_server_process(tmp_path / "data", nats_url=url) as server, server.site() as site:
        eventually(lambda: counted(site, "wr_event_failures_total") >= 2, "it is tried again")
        assert server.log.count("NATS does not take events") == 1
        assert "Connect call failed" in server.log


def test_the_second_of_two_servers_is_used_while_the_first_is_away(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    url = f"nats://127.0.0.1:{free_port()}, {nats_server.url}"
    with running_server_process(tmp_path / "data", nats_url=url) as server, server.site() as site:
        site.make_queue()
        eventually(nats_server.stored, "it is told")
        assert "NATS does not take events" not in server.log


def test_a_nats_that_hangs_is_tried_again_and_again_and_holds_one_socket_at_most(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(100)
        port = silent.getsockname()[1]
        url = f"nats://127.0.0.1:{port}"
        with running_server_process(tmp_path / "data", nats_url=url) as server, server.site() as site:
            eventually(lambda: counted(site, "wr_event_failures_total") >= 3, "it is tried again", 40)
            assert "NATS does not take events" in server.log
            # What is still established from the server's side; who left is seen as such by the kernel.
            lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
            held = [line for line in lines if line[2].endswith(f":{port:04X}") and line[3] == "01"]
            assert len(held) <= 1


@pytest.fixture
def strict_port(tmp_path: Path) -> Iterator[int]:
    """A server where the stream is there and `wr` may do nothing but publish some of the events."""
    port = free_port()
    config = tmp_path / "strict.conf"
    config.write_text(
        f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{tmp_path}/strict" }}\n'
        "authorization { users: [ {user: admin, password: admin},\n"
        '{user: "wr@home", password: "p@ss:word/1%", permissions: {subscribe: ["_INBOX.>"], publish: '
        '["waitingroom.queue.>", "waitingroom.position.>"]}} ] }\n'
    )
    process = subprocess.Popen([str(BINARY), "-c", str(config)], stderr=subprocess.DEVNULL)

    def is_there() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                return connection.recv(4) == b"INFO"
        except OSError:
            return False

    async def make() -> None:
        client = await nats.connect(f"nats://admin:admin@127.0.0.1:{port}")
        await client.jetstream().add_stream(name="WAITINGROOM", subjects=["waitingroom.>"])
        await client.close()

    try:
        eventually(is_there, "NATS listens")
        asyncio.run(make())
        yield port
    finally:
        process.kill()
        process.wait()


def test_a_user_who_may_only_publish_is_served_and_a_password_may_be_percent_encoded(
    strict_port: int, tmp_path: Path
) -> None:
    url = f"nats://wr%40home:p%40ss%3Aword%2F1%25@127.0.0.1:{strict_port}"
    with running_server_process(tmp_path / "data", nats_url=url) as server, server.site() as site:
        queue_id = site.make_queue()
        eventually(lambda: counted(site, "wr_events_delivered_total") == 1, "it is told", 15)
        assert nats_of(site) == "healthy"
        assert "does not allow to check for a stream" in server.log
        # What this user may not publish is dropped, and what comes after it is told.
        site.admitted(queue_id, site.join(queue_id).json()["token"])
        site.make_queue()
        eventually(lambda: counted(site, "wr_events_delivered_total") == 4, "the rest is told", 25)
        assert counted(site, "wr_events_dropped_total") == 1
        assert "it is not permitted to publish on waitingroom.session.started.v1" in server.log
        assert "word" not in server.log


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ws://wr:wrong-secret@nats:80", "NATS over WebSocket is not supported"),
        ("nats://one:4222,wss://wr:wrong-secret@nats", "NATS over WebSocket is not supported"),
        ("nats://wr:wrong-secret@nats:port", "not a URL"),
        ("nats://wr:wrong-secret@nats:70000", "not a URL"),
        ("nats://wr:wrong-secret", "not a URL"),
        ("nats://wr:wrong-secret@[::1", "not a URL"),
    ],
)
def test_a_url_that_nats_cannot_be_reached_by_ends_the_start_and_is_not_repeated(
    url: str, reason: str
) -> None:
    ended = subprocess.run(
        serve_command(nats_url=url), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode != 0
    assert f"--nats-url: {reason}" in ended.stderr
    assert "wrong-secret" not in ended.stderr + ended.stdout
