"""The hub of live streams: slow readers cost little, who never reads is let go, nobody waits for others."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import structlog
import trio
import trio.testing

from tests.support.socket_pairs import Wire, running_wire
from tests.support.websocket_bytes import CONTINUATION, PING, PONG, TEXT, frame
from wr.api.live_feed import KEEP_ALIVE_S, Event, Goodbye
from wr.http.fast_streams import EventStream, WebSocketStream
from wr.http.stream_hub import HubStream, StreamHub
from wr.http.websocket_rules import FRAME_WINDOW_S, MOST_FRAMES
from wr.live.stream import Stream
from wr.live.updates import AdmittedUpdate, PositionUpdate, Update
from wr.model.places import Admitted, Waiting
from wr.model.queue_settings import QueueConfig
from wr.room.queue_cache import view_of
from wr.store.poll import Polled

VIEW = view_of(QueueConfig(id="q", name="Q", target_url="https://shop.example/"))
PATIENCE_S = 30.0
MOST_UNSENT = 64 * 1024


class Reader:
    """A client as the server sees it: it takes everything, or nothing for a while."""

    def __init__(self, wire: Wire) -> None:
        self.transport, self._client = wire.connection()
        self._filling = 0
        self._taken = b""

    def stop_reading(self) -> None:
        """Leave unread what has come, and fill what the kernel keeps for a client."""
        filling = b" " * 1_000_000
        while taken := len(filling) - len(self.transport.send_now(filling)):
            self._filling += taken

    async def read_on(self) -> None:
        """Read until nothing more comes."""
        while data := self._client.unread():
            self._taken += data
            await trio.testing.wait_all_tasks_blocked()

    async def received(self) -> bytes:
        """Read on, and return everything that has come so far but the filling."""
        await self.read_on()
        return self._taken.replace(b" " * self._filling, b"") if self._filling else self._taken

    def is_cut_off(self) -> bool:
        return self._client.is_cut_off()


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
        if isinstance(update, PositionUpdate):
            return Event("position_update", b"<%d>" % update.position)
        if isinstance(update, AdmittedUpdate):
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


@dataclass
class Streams:
    """A hub that runs, and what its streams are sent on."""

    hub: StreamHub
    wire: Wire

    def begin(self, ended: Callable[[], None] = lambda: None) -> tuple[Feed, Reader, HubStream]:
        feed, reader = Feed(), Reader(self.wire)
        stream = EventStream(self.hub, reader.transport, feed, ended)
        stream.begin()
        return feed, reader, stream

    def open_websocket(
        self, ended: Callable[[], None] = lambda: None
    ) -> tuple[Feed, Reader, WebSocketStream]:
        feed, reader = Feed(), Reader(self.wire)
        stream = WebSocketStream(self.hub, reader.transport, feed, ended)
        stream.open(b"", ping_s=10.0)
        stream.begin()
        return feed, reader, stream


@asynccontextmanager
async def running_streams() -> AsyncIterator[Streams]:
    hub = StreamHub(PATIENCE_S)
    async with running_wire() as wire, trio.open_nursery() as nursery:
        nursery.start_soon(hub.run)
        await trio.testing.wait_all_tasks_blocked()
        yield Streams(hub, wire)
        nursery.cancel_scope.cancel()


async def test_who_reads_is_told_each_position(autojump_clock: trio.testing.MockClock) -> None:
    async with running_streams() as streams:
        feed, reader, _ = streams.begin()
        for position in (3, 2, 1):
            feed.moves_to(position)
            await trio.testing.wait_all_tasks_blocked()
        assert await reader.received() == b"3\r\n<3>\r\n3\r\n<2>\r\n3\r\n<1>\r\n"


async def test_a_slow_reader_gets_the_newest_position_and_none_of_those_between(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running_streams() as streams:
        feed, reader, stream = streams.begin()
        reader.stop_reading()
        for position in range(9000, 1000, -1):
            feed.moves_to(position)
            if position % 100 == 0:
                await trio.testing.wait_all_tasks_blocked()
                assert stream.unsent_bytes < 20, "one message waits, however many positions there were"
        assert await reader.received() == b"6\r\n<9000>\r\n6\r\n<1001>\r\n"


async def test_who_never_reads_is_let_go_when_patience_is_over(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running_streams() as streams:
        feed, reader, _ = streams.begin()
        others, other_reader, _ = streams.begin()
        reader.stop_reading()
        feed.moves_to(5)
        await trio.sleep(PATIENCE_S - 1)
        assert not reader.is_cut_off()
        await trio.sleep(2)
        assert reader.is_cut_off()
        others.moves_to(4)
        await trio.testing.wait_all_tasks_blocked()
        assert await other_reader.received() == b"3\r\n<4>\r\n"


async def test_who_makes_the_server_say_much_and_reads_nothing_is_let_go_at_once_and_alone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running_streams() as streams:
        _, reader, stream = streams.begin()
        other, other_reader, _ = streams.begin()
        reader.stop_reading()
        # The task that sends the rest has not begun when the connection closes, or is waiting to go on.
        for turns in (0, 1):
            for _ in range(MOST_UNSENT // 1000):
                stream.write(b"x" * 1000)
            assert not reader.is_cut_off()
            if turns:
                await trio.testing.wait_all_tasks_blocked()
            stream.write(b"x" * 1000)
            assert reader.is_cut_off()
            assert stream.unsent_bytes <= MOST_UNSENT
            await trio.testing.wait_all_tasks_blocked()
            _, reader, stream = streams.begin()
            reader.stop_reading()
        other.moves_to(5)
        await trio.testing.wait_all_tasks_blocked()
        assert await other_reader.received() == b"3\r\n<5>\r\n"


async def test_while_one_way_in_is_signed_the_others_are_told_theirs(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ended: list[str] = []
    async with running_streams() as streams:
        feed, reader, _ = streams.begin(lambda: ended.append("first"))
        others = [streams.begin() for _ in range(100)]
        feed.is_let_in()
        for other, _, _ in others:
            other.moves_to(7)
        await trio.testing.wait_all_tasks_blocked()
        assert [await reader.received() for _, reader, _ in others] == [b"3\r\n<7>\r\n"] * 100
        assert (await reader.received(), ended) == (b"", [])
        feed.signed.set()
        await trio.testing.wait_all_tasks_blocked()
        assert (await reader.received(), ended) == (b"4\r\n<in>\r\n0\r\n\r\n", ["first"])


async def test_the_end_of_a_stream_is_said_after_what_a_slow_reader_has_not_taken_yet(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ended: list[str] = []
    async with running_streams() as streams:
        feed, reader, _ = streams.begin(lambda: ended.append("it"))
        reader.stop_reading()
        feed.moves_to(5)
        await trio.testing.wait_all_tasks_blocked()
        feed.stream.close(is_replaced=True)
        await trio.testing.wait_all_tasks_blocked()
        assert ended == []
        assert (await reader.received(), ended) == (b"3\r\n<5>\r\n0\r\n\r\n", ["it"])


FAILING = pytest.mark.parametrize("failing", ["take_turn", "tell", "spell", "tell_in_time", "send_unsent"])


@FAILING
async def test_a_stream_that_fails_ends_alone_and_is_logged_once(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    class Broken(EventStream):
        """A stream one of whose methods is mistaken."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    async def fail_later(*_: object) -> None:
        raise ZeroDivisionError

    asynchronous = ("tell", "tell_in_time", "send_unsent")
    monkeypatch.setattr(Broken, failing, fail_later if failing in asynchronous else fail)
    async with running_streams() as streams:
        feed, reader = Feed(), Reader(streams.wire)
        other, other_reader, _ = streams.begin()
        slow, slow_reader, _ = streams.begin()
        slow_reader.stop_reading()
        slow.moves_to(9)
        await trio.testing.wait_all_tasks_blocked()
        with structlog.testing.capture_logs() as logs:
            Broken(streams.hub, reader.transport, feed, lambda: None).begin()
            if failing == "send_unsent":
                reader.stop_reading()
            feed.is_let_in() if failing == "tell_in_time" else feed.moves_to(5)
            # Queued behind it in the same round, and one that is being sent something all the while.
            other.moves_to(5)
            await trio.testing.wait_all_tasks_blocked()
        assert [entry["event"] for entry in logs] == ["a connection was ended by an error"]
        assert reader.is_cut_off()
        assert await other_reader.received() == b"3\r\n<5>\r\n"
        assert await slow_reader.received() == b"3\r\n<9>\r\n"


async def test_a_stream_that_cannot_show_its_life_ends_alone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Broken(EventStream):
        """A stream that is mistaken about its life."""

        def show_life(self, now: float) -> None:
            raise ZeroDivisionError(now)

    async with running_streams() as streams:
        reader = Reader(streams.wire)
        Broken(streams.hub, reader.transport, Feed(), lambda: None).begin()
        _, other_reader, _ = streams.open_websocket()
        streams.hub.keep_up(trio.current_time() + KEEP_ALIVE_S + 1)
        assert reader.is_cut_off()
        assert not other_reader.is_cut_off()
        assert await other_reader.received() == b"\x89\x00"


async def test_an_abandoned_stream_is_told_nothing_more(autojump_clock: trio.testing.MockClock) -> None:
    async with running_streams() as streams:
        feed, reader, stream = streams.begin()
        feed.moves_to(5)
        stream.abandon()
        assert feed.is_closed
        feed.moves_to(4)
        await trio.testing.wait_all_tasks_blocked()
        assert await reader.received() == b""


async def test_a_stream_that_has_more_to_send_when_the_hub_has_ended_ends_too(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running_wire() as wire:
        reader = Reader(wire)
        stream = EventStream(StreamHub(PATIENCE_S), reader.transport, Feed(), lambda: None)
        reader.stop_reading()
        stream.write(b"x")
        assert reader.is_cut_off()


async def test_a_websocket_that_answers_no_ping_is_closed_at_the_third(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ended: list[float] = []
    async with running_streams() as streams:
        began = trio.current_time()
        _, reader, _ = streams.open_websocket(lambda: ended.append(trio.current_time() - began))
        for _ in range(60):
            streams.hub.keep_up(trio.current_time())
            await trio.sleep(1)
        assert await reader.received() == b"\x89\x00\x89\x00\x88\x02\x03\xf0"
        assert ended == [30.0]


async def test_of_the_pings_of_a_client_that_does_not_read_only_the_last_is_answered(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running_streams() as streams:
        _, reader, stream = streams.open_websocket()
        reader.stop_reading()
        for number in range(50):
            stream.hear(frame(PING, b"%03d" % number))
        assert stream.unsent_bytes == 5, "one pong is on its way, however many pings came"
        assert await reader.received() == b"\x8a\x03000" + b"\x8a\x03049"


@pytest.mark.parametrize(
    "flood",
    [frame(PING, b"x"), frame(PONG), frame(TEXT, is_final=False) + frame(CONTINUATION, is_final=False) * 99],
    ids=["pings", "pongs", "parts of a message"],
)
async def test_a_client_that_sends_frames_without_end_is_told_so_and_closed(
    autojump_clock: trio.testing.MockClock, flood: bytes
) -> None:
    ended: list[str] = []
    async with running_streams() as streams:
        _, reader, stream = streams.open_websocket(lambda: ended.append("it"))
        for _ in range(MOST_FRAMES + 1):
            stream.hear(flood)
            flood = flood[-6:] if flood[0] == TEXT else flood
        received = await reader.received()
        assert received.endswith(b"\x88\x11\x03\xf0too many frames")
        assert ended == ["it"]


async def test_a_client_that_sends_as_many_frames_as_it_may_goes_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running_streams() as streams:
        _, reader, stream = streams.open_websocket()
        for _ in range(5):
            for _ in range(MOST_FRAMES):
                stream.hear(frame(PING))
            assert await reader.received()
            await trio.sleep(FRAME_WINDOW_S)
        assert not stream.is_over


async def test_a_client_that_sends_much_into_a_stream_of_events_is_let_go(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running_streams() as streams:
        _, reader, stream = streams.begin()
        stream.hear(b"GET / HTTP/1.1\r\n\r\n")
        assert not reader.is_cut_off()
        stream.hear(b"x" * 65_536)
        assert reader.is_cut_off()
