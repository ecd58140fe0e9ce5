"""The client of the commands: what it sends, what it reads, and how it says that there is no answer."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.certificate import make_certificate
from tests.support.server import running_server
from tests.support.speaking import speaking
from wr.client.http_exchange import NoAnswer, NoSecureConnection, Patience, exchange

QUICK = Patience(connect_s=5, part_s=5, whole_s=10)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: 1\r\na: 2\r\n\r\nok"


@contextmanager
def recording(answer: bytes = OK) -> Iterator[tuple[int, list[bytes]]]:
    """Answer every request alike; the port, and the requests that came."""
    came: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    came.append(connection.recv(65536))
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1], came
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_request_has_the_headers_that_every_request_needs_and_then_those_given() -> None:
    with recording() as (port, came):
        url = f"http://127.0.0.1:{port}/a b?ü"
        exchange(url, patience=QUICK, method="POST", headers={"X-Key": "k"})
        exchange(f"http://127.0.0.1:{port}", patience=QUICK, method="DELETE", body=b"{}")
    common = b"Host: 127.0.0.1:%d\r\nAccept-Encoding: identity\r\n" % port
    assert came == [
        b"POST /a%20b?%C3%BC HTTP/1.1\r\n" + common + b"Content-Length: 0\r\nX-Key: k\r\n\r\n",
        b"DELETE / HTTP/1.1\r\n" + common + b"Content-Length: 2\r\n\r\n{}",
    ]


def test_an_answer_has_all_values_of_a_header_and_no_more_of_its_body_than_asked_for() -> None:
    with recording() as (port, _):
        answer = exchange(f"http://127.0.0.1:{port}", patience=QUICK, most_bytes=1)
    assert (answer.status, answer.body) == (200, b"o")
    assert (answer.headers["a"], answer.header("A"), answer.header("missing")) == (("1", "2"), "1", "")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "Server disconnected without sending a response"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "illegal status line"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "without sending complete message body"),
    ],
)
def test_what_is_no_answer_is_said_with_its_reason(answer: bytes, why: str) -> None:
    with recording(answer) as (port, _), pytest.raises(NoAnswer, match=why):
        exchange(f"http://127.0.0.1:{port}", patience=QUICK)


def test_a_server_that_does_not_finish_its_part_of_tls_is_given_up() -> None:
    # The head of a record of 16,128 bytes, and then one byte at a time.
    with speaking(b"\x16\x03\x03\x3f\x00", drip=b"\0") as url, pytest.raises(NoAnswer, match="in time"):
        exchange(url.replace("http:", "https:"), patience=Patience(connect_s=0.3, part_s=5))


@pytest.mark.parametrize("headers", [{"X-Key": "a\nb"}, {"X-Key": "€"}, {"Ü": "a"}])
def test_a_header_that_cannot_be_sent_is_no_answer(headers: dict[str, str]) -> None:
    with recording() as (port, came):
        with pytest.raises(NoAnswer):
            exchange(f"http://127.0.0.1:{port}", patience=QUICK, headers=headers)
        assert not any(came), "a part of the request was sent"


def test_a_certificate_counts_if_it_is_trusted_and_of_that_name(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    trust = ssl.create_default_context(cafile=str(certificate))
    tls = {"tls_certificate_file": str(certificate), "tls_key_file": str(key)}
    with running_server(None, data_dir=str(tmp_path / "data"), **tls) as ready:
        url = f"{ready.url}/health"
        assert exchange(url, patience=QUICK, tls=trust).certificate_end.endswith("GMT")
        with pytest.raises(NoSecureConnection, match="self-signed certificate"):
            exchange(url, patience=QUICK)
        with pytest.raises(NoSecureConnection, match="localhost"):
            exchange(url.replace("127.0.0.1", "localhost"), patience=QUICK, tls=trust)
