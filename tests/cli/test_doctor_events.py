"""`wr doctor` on NATS: a real server with JetStream, one without, none, and something else."""

import socket
import subprocess
import threading
from pathlib import Path

from tests.support.engines import free_port
from tests.support.nats import BINARY, PASSWORD, running_nats
from tests.support.processes import eventually
from wr.doctor.events import check_nats


def texts(url: str) -> list[str]:
    return [str(finding) for finding in check_nats(url)]


def test_a_server_with_jetstream_is_good_and_its_password_is_not_told(tmp_path: Path) -> None:
    with running_nats(tmp_path) as nats:
        (found,) = texts(nats.url)
    assert found.startswith("✓")
    assert "with JetStream" in found
    assert PASSWORD not in found


def test_a_server_without_jetstream_deserves_a_look() -> None:
    port = free_port()
    process = subprocess.Popen([str(BINARY), "-a", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL)
    try:
        found = eventually(
            lambda: (t := texts(f"nats://127.0.0.1:{port}")[0]) and "NATS 2" in t and t, "it runs"
        )
    finally:
        process.kill()
        process.wait()
    assert found.startswith("!")
    assert "without JetStream" in found


def test_each_server_of_a_cluster_is_looked_at_and_none_that_is_away_is_good() -> None:
    one, other = free_port(), free_port()
    found = texts(f"nats://127.0.0.1:{one}, nats://wr:{PASSWORD}@127.0.0.1:{other}")
    assert [
        f"127.0.0.1:{port} does not answer" in text for port, text in zip((one, other), found, strict=True)
    ] == [
        True,
        True,
    ]
    assert PASSWORD not in "".join(found)


def test_something_else_is_told_apart() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"-ERR unknown command\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        (found,) = texts(f"nats://127.0.0.1:{listener.getsockname()[1]}")
        thread.join()
    assert "not a NATS server" in found
