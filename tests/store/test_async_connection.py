"""Script calls on the event loop: over TLS, with long replies, and when the store ends the connection."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import trio

from tests.support.certificate import make_certificate
from tests.support.engines import free_port
from tests.support.processes import eventually
from wr.model.refusals import Unavailable
from wr.store.connection import Connection
from wr.store.script import Script

ECHO = Script("echo", "return ARGV")
LONG = [b"%d" % number * 50 for number in range(5_000)]
"""More than one read brings, in either direction."""


@pytest.fixture(scope="module", params=["plain", "TLS"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store that asks for a password, reached in plain or over TLS."""
    binary = shutil.which("redis-server")
    if binary is None:
        if os.environ.get("CI"):
            pytest.fail("redis-server is not installed")
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    folder: Path = tmp_path_factory.mktemp("wire")
    port = free_port()
    command = [binary, "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), "--requirepass", "secret"]
    made = f"redis://:secret@127.0.0.1:{port}/3"
    if request.param == "TLS":
        certificate, key = map(str, make_certificate(folder))
        command += ["--port", "0", "--tls-port", str(port), "--tls-cert-file", certificate]
        command += ["--tls-key-file", key, "--tls-ca-cert-file", certificate, "--tls-auth-clients", "no"]
        made = f"rediss://:secret@127.0.0.1:{port}/3?ssl_ca_certs={certificate}"
    else:
        command += ["--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        eventually(lambda: answers(made), "the store answers")
        yield made
    finally:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    with redis.Redis.from_url(url, protocol=2) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


async def test_a_long_call_and_its_long_reply_arrive_whole(url: str) -> None:
    connection = Connection(url)
    assert await connection.call(ECHO, [], LONG) == LONG
    assert await connection.call(ECHO, [], [b"short"]) == [b"short"]
    connection.close()


async def test_calls_at_once_get_their_own_replies(url: str) -> None:
    connection = Connection(url)
    replies: dict[int, object] = {}

    async def ask(number: int) -> None:
        replies[number] = await connection.call(ECHO, [], [b"%d" % number])

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(ask, number)
    assert replies == {number: [b"%d" % number] for number in range(50)}
    connection.close()


async def test_a_connection_that_the_store_has_ended_is_not_used_again(url: str) -> None:
    connection = Connection(url)
    await connection.call(ECHO, [], [])
    with redis.Redis.from_url(url, protocol=2) as other:
        other.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert await connection.call(ECHO, [], [b"again"]) == [b"again"]
    connection.close()


async def test_a_script_that_fails_leaves_its_connection_usable(url: str) -> None:
    connection = Connection(url)
    with pytest.raises(redis.ResponseError, match="no such command"):
        await connection.call(Script("wrong", "return redis.error_reply('no such command')"), [], [])
    assert await connection.call(ECHO, [], [b"on"]) == [b"on"]
    connection.close()


async def test_a_call_that_is_given_up_does_not_leave_its_reply_to_the_next(url: str) -> None:
    connection = Connection(url)
    await connection.call(ECHO, [], [])
    with trio.move_on_after(0):
        await connection.call(ECHO, [], LONG)
    assert await connection.call(ECHO, [], [b"mine"]) == [b"mine"]
    connection.close()


async def test_where_nobody_answers_or_nobody_lets_us_in_the_store_is_away(url: str) -> None:
    with pytest.raises(Unavailable) as refused:
        await Connection(url.replace("secret", "guess")).call(ECHO, [], [])
    assert isinstance(refused.value.__cause__, redis.AuthenticationError)
    with pytest.raises(Unavailable):
        await Connection(f"redis://127.0.0.1:{free_port()}").call(ECHO, [], [])
