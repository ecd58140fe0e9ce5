"""From the fast lane to the general one: a connection goes on as if nothing had happened."""

import json
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.support import plain_http
from tests.support.server import running_server
from tests.support.site import BASE

HOST = b"Host: wr\r\n"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    folder = str(tmp_path_factory.mktemp("hand-over"))
    with running_server(None, data_dir=folder, limit_enqueue="0", demo_queue="yes", http2="on") as ready:
        url = httpx.URL(ready.url)
        yield url.host, url.port or 0


def plain(name: str) -> bytes:
    return b"GET /health HTTP/1.1\r\n" + HOST + f"X-Request-Id: {name}\r\n\r\n".encode()


def odd(name: str, body: bytes = b'{"user_id":"ann"}') -> bytes:
    """A join in chunks, which the fast lane does not read."""
    head = f"POST {BASE}/queues/demo/enqueue HTTP/1.1\r\nX-Request-Id: {name}\r\n".encode() + HOST
    return head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def read_answers(client: socket.socket, number: int) -> list[tuple[int, str]]:
    """Read that many answers; returns their statuses and request ids."""
    found = []
    with client.makefile("rb") as answers:
        for _ in range(number):
            status = int(answers.readline().split(b" ")[1])
            headers = {}
            while line := answers.readline().strip():
                name, _, value = line.decode().partition(": ")
                headers[name.lower()] = value
            json.loads(answers.read(int(headers["content-length"])))
            found.append((status, headers["x-request-id"]))
    return found


def test_a_connection_goes_on_after_an_odd_request(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=30) as client:
        for number, make in enumerate((plain, odd, plain, odd, odd, plain)):
            client.sendall(make(f"request-{number}"))
            ((status, name),) = read_answers(client, 1)
            assert (status in (200, 201), name) == (True, f"request-{number}")


@pytest.mark.parametrize("place", [0, 1, 5, 9])
def test_requests_sent_at_once_are_answered_in_order_wherever_the_odd_one_stands(
    address: tuple[str, int], place: int
) -> None:
    names = [f"request-{number}" for number in range(10)]
    with socket.create_connection(address, timeout=30) as client:
        client.sendall(b"".join(odd(name) if names.index(name) == place else plain(name) for name in names))
        assert [name for _, name in read_answers(client, 10)] == names


def test_an_odd_request_of_which_half_came_with_the_one_before_is_read_in_full(
    address: tuple[str, int],
) -> None:
    last = odd("second", b" " * 9000 + b"{}")
    for cut in (1, 60, len(last) - 9000, len(last) - 1):
        with socket.create_connection(address, timeout=30) as client:
            client.sendall(plain("first") + last[:cut])
            assert read_answers(client, 1) == [(200, "first")]
            client.sendall(last[cut:])
            ((status, name),) = read_answers(client, 1)
            assert (status in (200, 201), name) == (True, "second")


def test_http_2_with_prior_knowledge_works_on_the_same_port(address: tuple[str, int]) -> None:
    url = f"http://{address[0]}:{address[1]}"
    with plain_http.client(base_url=url, http1=False, http2=True) as client:
        joined = client.post(f"{BASE}/queues/demo/enqueue", json={"user_id": "bob"})
        assert (joined.status_code, joined.http_version) == (201, "HTTP/2")
        assert client.get("/health").json()["status"] == "healthy"
    assert plain_http.get(f"{url}/health").http_version == "HTTP/1.1"
