"""The connection: whatever a store does, the caller hears `Unavailable`, soon, and can ask again."""

from collections.abc import Iterator
from threading import Event

import pytest
import redis
import trio
import trio.testing

from tests.support import odd_stores
from tests.support.odd_stores import odd_store
from wr.model.refusals import Unavailable
from wr.store.address import read_store_url
from wr.store.connection import Connection
from wr.store.script import Script
from wr.store.server_link import ServerLink


def an_error(text: str) -> odd_stores.Answer:
    return lambda _received: f"-{text}\r\n".encode()


def link(url: str, timeout_s: float) -> ServerLink:
    """What a connection to one server is, once that has said that it is no node of a cluster."""
    return ServerLink(read_store_url(url).make_client(), timeout_s=timeout_s)


async def ping(connection: ServerLink) -> None:
    await connection.ping()


@pytest.mark.parametrize(
    "answer",
    [
        odd_stores.speaks_http,
        odd_stores.hangs_up,
        odd_stores.says_nothing,
        odd_stores.wants_a_password,
        an_error("LOADING the dataset is in memory soon"),
        an_error("MISCONF disk full"),
        an_error("OOM command not allowed"),
        an_error("READONLY replica"),
        an_error("NOPERM no permission"),
        an_error("CLUSTERDOWN hash slot not served"),
        an_error("MOVED 1 127.0.0.1:1"),
        an_error("BUSY running a script"),
        an_error("NOREPLICAS not enough good replicas"),
    ],
)
async def test_a_store_that_cannot_serve_is_unavailable_and_not_a_mistake_of_ours(
    answer: odd_stores.Answer,
) -> None:
    with odd_store(answer) as url:
        connection = link(url, timeout_s=0.2)
        with pytest.raises(Unavailable):
            await ping(connection)
        connection.close()


async def test_a_mistake_of_ours_is_not_taken_for_a_store_that_is_away() -> None:
    with odd_store(an_error("ERR wrong number of arguments")) as url:
        connection = link(url, timeout_s=5)
        with pytest.raises(redis.ResponseError):
            await ping(connection)
        connection.close()


async def test_a_store_that_is_back_is_used_again_at_once() -> None:
    state = {"answer": b""}
    with odd_store(lambda _received: state["answer"]) as url:
        connection = link(url, timeout_s=0.2)
        for trouble in (b"", b"!nonsense\r\n", b"-LOADING soon\r\n"):
            state["answer"] = trouble
            with pytest.raises(Unavailable):
                await ping(connection)
            state["answer"] = b"+PONG\r\n"
            await ping(connection)
        connection.close()


class FrozenStore:
    """A store that answers when it is told to, and counts what reached it meanwhile."""

    def __init__(self) -> None:
        self.thawed = Event()
        self.received = b""

    def answer(self, received: bytes) -> bytes:
        self.received += received
        return b"+PONG\r\n" if self.thawed.wait(30) else b""


@pytest.fixture
def frozen() -> Iterator[FrozenStore]:
    store = FrozenStore()
    yield store
    store.thawed.set()


async def test_nothing_but_a_short_question_is_sent_to_a_store_that_hangs(frozen: FrozenStore) -> None:
    with odd_store(frozen.answer) as url:
        connection = link(url, timeout_s=0.3)
        for _ in range(3):
            with pytest.raises(Unavailable):
                await connection.run("key", lambda client: client.set("key", "value"))
        assert frozen.received.count(b"SET") == 1
        frozen.thawed.set()
        await ping(connection)
        connection.close()


async def test_while_one_asks_whether_it_answers_the_others_do_not_wait(frozen: FrozenStore) -> None:
    with odd_store(frozen.answer) as url:
        connection = link(url, timeout_s=0.5)
        with pytest.raises(Unavailable):
            await ping(connection)
        assert frozen.received.count(b"PING") == 1
        refused = 0

        async def ask() -> None:
            nonlocal refused
            with pytest.raises(Unavailable):
                await ping(connection)
            refused += 1

        async with trio.open_nursery() as nursery:
            for _ in range(40):
                nursery.start_soon(ask)
        assert refused == 40
        assert frozen.received.count(b"PING") < 10, "one asks at a time; a slow machine may need a few"
        connection.close()


async def test_a_caller_that_is_cancelled_does_not_wait_for_a_store_that_hangs(frozen: FrozenStore) -> None:
    with odd_store(frozen.answer) as url:
        connection = link(url, timeout_s=20)
        with trio.fail_after(10), trio.move_on_after(0.05) as scope:
            await ping(connection)
        assert scope.cancelled_caught
        frozen.thawed.set()
        connection.close()


@pytest.mark.parametrize("url", ["postgres://here", "redis://here:port", "redis://here?colour=red"])
def test_a_url_that_makes_no_sense_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Connection(url)


async def test_a_wire_is_opened_though_all_threads_that_everybody_shares_are_taken() -> None:
    done = Event()
    shared = trio.to_thread.current_default_thread_limiter()
    with odd_store(lambda _received: b"+PONG\r\n") as url:
        connection = link(url, timeout_s=5)
        try:
            async with trio.open_nursery() as nursery:
                for _ in range(int(shared.total_tokens)):
                    nursery.start_soon(trio.to_thread.run_sync, done.wait)
                await trio.testing.wait_all_tasks_blocked()
                assert shared.available_tokens == 0
                with trio.move_on_after(5) as patience:
                    assert await connection.call(Script("any", "return 1"), [], []) == b"PONG"
                done.set()
            assert not patience.cancelled_caught
        finally:
            done.set()
            connection.close()
