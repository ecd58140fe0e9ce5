"""The hub of live streams: slow readers cost little, who never reads is let go, nobody waits for others."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio
import trio.testing

from wr.api.feeds import Event, Goodbye
from wr.live.stream import Stream
from wr.live.updates import LetIn, Moved, Update
from wr.model.places import Admitted, Waiting
from wr.model.queue import QueueConfig
from wr.queue_book import view_of
from wr.serve.fast_streams import EventStream, WebSocketStream
from wr.serve.stream_hub import HubStream, StreamHub
from wr.serve.transport import Gone
from wr.store.polls import Polled

VIEW = view_of(QueueConfig(id="q", name="Q", target_url="https://shop.example/"))
PATIENCE_S = 30.0
MOST_UNSENT = 64 * 1024


class Reader:
    """A client as the server sees it: it takes everything, or nothing for a while."""

    peer = ""

    def __init__(self) -> None:
        self.received = b""
        self.reads = trio.Event()
        self.reads.set()
        self.closed_at: float | None = None
        self._closed = trio.Event()

    def stop_reading(self) -> None:
        self.reads = trio.Event()

    def send_now(self, data: bytes) -> bytes:
        if not self.reads.is_set():
            return data
        self.received += data
        return b""

    async def send(self, data: bytes) -> None:
        async with trio.open_nursery() as nursery:

            async def unless_closed() -> None:
                await self._closed.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(unless_closed)
            await self.reads.wait()
            nursery.cancel_scope.cancel()
        if self._closed.is_set():
            raise Gone
        self.received += data

    def close(self) -> None:
        if self.closed_at is None:
            self.closed_at = trio.current_time()
        self._closed.set()


class Feed:
    """Spells positions as `<9>`, and the way in once it is signed."""

    usage = None

    def __init__(self) -> None:
        self.headers: list[tuple[str, str]] = []
        self.stream = Stream("q", b"p" * 16)
        self.signed = trio.Event()
        self.is_broken = False
        self.is_closed = False

    def opening(self) -> list[Event]:
        return []

    async def spell(self, update: Update) -> Event | Goodbye | None:
        if self.is_broken:
            raise ZeroDivisionError
        if isinstance(update, Moved):
            return Event("position_update", b"<%d>" % update.position)
        if isinstance(update, LetIn):
            await self.signed.wait()
            return Event("admitted", b"<in>", is_last=True)
        return Goodbye(1012)

    def close(self) -> None:
        self.is_closed = True

    async def heartbeat(self) -> None:
        raise AssertionError("nobody says anything here")

    def as_server_sent(self, event: Event | None, number: int) -> bytes:
        return b"" if event is None else event.data

    def moves_to(self, position: int) -> None:
        self.stream.offer(Polled(now_ms=1, queue_length=9, used=0, place=Waiting(position)), VIEW)

    def is_let_in(self) -> None:
        self.stream.offer(Polled(now_ms=1, queue_length=9, used=0, place=Admitted(1, 9_000)), VIEW)


@asynccontextmanager
async def running_hub() -> AsyncIterator[StreamHub]:
    hub = StreamHub(PATIENCE_S)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hub.run)
        await trio.testing.wait_all_tasks_blocked()
        yield hub
        nursery.cancel_scope.cancel()


def begin(hub: StreamHub, ended: Callable[[], None] = lambda: None) -> tuple[Feed, Reader, HubStream]:
    feed, reader = Feed(), Reader()
    stream = EventStream(hub, reader, feed, ended)
    stream.begin()
    return feed, reader, stream


async def test_who_reads_is_told_each_position(autojump_clock: trio.testing.MockClock) -> None:
    async with running_hub() as hub:
        feed, reader, _ = begin(hub)
        for position in (3, 2, 1):
            feed.moves_to(position)
            await trio.testing.wait_all_tasks_blocked()
        assert reader.received == b"3\r\n<3>\r\n3\r\n<2>\r\n3\r\n<1>\r\n"


async def test_a_slow_reader_gets_the_newest_position_and_none_of_those_between(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running_hub() as hub:
        feed, reader, stream = begin(hub)
        reader.stop_reading()
        for position in range(9000, 1000, -1):
            feed.moves_to(position)
            if position % 100 == 0:
                await trio.testing.wait_all_tasks_blocked()
                assert len(stream._unsent) < 20, "one message waits, however many positions there were"
        reader.reads.set()
        await trio.testing.wait_all_tasks_blocked()
        assert reader.received == b"6\r\n<9000>\r\n6\r\n<1001>\r\n"


async def test_who_never_reads_is_let_go_when_patience_is_over(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running_hub() as hub:
        began = trio.current_time()
        feed, reader, _ = begin(hub)
        others, other_reader, _ = begin(hub)
        reader.stop_reading()
        feed.moves_to(5)
        await trio.sleep(PATIENCE_S - 1)
        assert reader.closed_at is None
        await trio.sleep(2)
        assert reader.closed_at == began + PATIENCE_S
        others.moves_to(4)
        await trio.testing.wait_all_tasks_blocked()
        assert other_reader.received == b"3\r\n<4>\r\n"


async def test_who_makes_the_server_say_much_and_reads_nothing_is_let_go_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running_hub() as hub:
        _, reader, stream = begin(hub)
        reader.stop_reading()
        for _ in range(MOST_UNSENT // 1000):
            stream.write(b"x" * 1000)
        assert reader.closed_at is None
        stream.write(b"x" * 1000)
        assert reader.closed_at is not None
        assert len(stream._unsent) <= MOST_UNSENT


async def test_while_one_way_in_is_signed_the_others_are_told_theirs(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ended: list[str] = []
    async with running_hub() as hub:
        feed, reader, _ = begin(hub, lambda: ended.append("first"))
        others = [begin(hub) for _ in range(100)]
        feed.is_let_in()
        for other, _, _ in others:
            other.moves_to(7)
        await trio.testing.wait_all_tasks_blocked()
        assert [reader.received for _, reader, _ in others] == [b"3\r\n<7>\r\n"] * 100
        assert (reader.received, ended) == (b"", [])
        feed.signed.set()
        await trio.testing.wait_all_tasks_blocked()
        assert (reader.received, ended) == (b"4\r\n<in>\r\n0\r\n\r\n", ["first"])


async def test_the_end_of_a_stream_is_said_after_what_a_slow_reader_has_not_taken_yet(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ended: list[str] = []
    async with running_hub() as hub:
        feed, reader, _ = begin(hub, lambda: ended.append("it"))
        reader.stop_reading()
        feed.moves_to(5)
        await trio.testing.wait_all_tasks_blocked()
        feed.stream.close(is_replaced=True)
        await trio.testing.wait_all_tasks_blocked()
        assert ended == []
        reader.reads.set()
        await trio.testing.wait_all_tasks_blocked()
        assert (reader.received, ended) == (b"3\r\n<5>\r\n0\r\n\r\n", ["it"])


async def test_a_stream_that_fails_ends_alone(autojump_clock: trio.testing.MockClock) -> None:
    async with running_hub() as hub:
        feed, reader, _ = begin(hub)
        other, other_reader, _ = begin(hub)
        feed.is_broken = True
        feed.moves_to(5)
        other.moves_to(5)
        await trio.testing.wait_all_tasks_blocked()
        assert reader.closed_at is not None
        assert other_reader.received == b"3\r\n<5>\r\n"


async def test_an_abandoned_stream_is_told_nothing_more(autojump_clock: trio.testing.MockClock) -> None:
    async with running_hub() as hub:
        feed, reader, stream = begin(hub)
        feed.moves_to(5)
        stream.abandon()
        assert feed.is_closed
        feed.moves_to(4)
        await trio.testing.wait_all_tasks_blocked()
        assert reader.received == b""


async def test_a_websocket_that_answers_no_ping_is_closed_at_the_third(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ended: list[float] = []
    async with running_hub() as hub:
        feed, reader = Feed(), Reader()
        began = trio.current_time()
        stream = WebSocketStream(hub, reader, feed, lambda: ended.append(trio.current_time() - began))
        stream.open(b"", ping_s=10.0)
        stream.begin()
        for _ in range(60):
            hub.keep_up(trio.current_time())
            await trio.sleep(1)
        assert reader.received == b"\x89\x00\x89\x00\x88\x02\x03\xf0"
        assert ended == [30.0]
