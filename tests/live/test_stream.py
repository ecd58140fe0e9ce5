"""One stream: the newest state, each once."""

import pytest
import trio
import trio.testing

from wr.live.stream import Stream
from wr.live.updates import AdmittedUpdate, EndedUpdate, Farewell, PositionUpdate, Update
from wr.model.places import UNKNOWN, Admitted, Gone, Place, Reason, Unserved, Waiting
from wr.model.queue_settings import QueueConfig
from wr.room.queue_cache import view_of
from wr.store.poll import Polled

VIEW = view_of(QueueConfig(id="q", name="Q", target_url="https://shop.example/"))


def at(place: Place, length: int = 10) -> Polled:
    return Polled(now_ms=1_000, queue_length=length, used=0, place=place)


def stream() -> Stream:
    return Stream("q", b"p" * 16)


async def told(following: Stream) -> list[Update]:
    """Everything there is to tell just now."""
    updates = []
    while (update := await following.next(0)) is not None:
        updates.append(update)
    return updates


async def test_a_slow_reader_gets_the_newest_position_only() -> None:
    following = stream()
    for position in (9, 8, 7):
        following.offer(at(Waiting(position)), VIEW)
    assert await told(following) == [PositionUpdate(7, 10, 1, heartbeat_timeout_s=60)]


async def test_the_same_position_is_told_once() -> None:
    following = stream()
    following.offer(at(Waiting(5), 10), VIEW)
    assert len(await told(following)) == 1
    following.offer(at(Waiting(5), 99), VIEW)
    assert await told(following) == []


async def test_back_where_the_reader_thinks_it_is_there_is_nothing_to_tell() -> None:
    following = stream()
    following.offer(at(Waiting(5)), VIEW)
    await told(following)
    following.offer(at(Waiting(6)), VIEW)
    following.offer(at(Waiting(5)), VIEW)
    assert await told(following) == []


async def test_an_admission_overtakes_positions_and_is_told_once() -> None:
    following = stream()
    admitted = Admitted(500, 9_000)
    following.offer(at(Waiting(1)), VIEW)
    following.offer(at(admitted), VIEW)
    following.offer(at(admitted), VIEW)
    assert await told(following) == [AdmittedUpdate(VIEW.config, admitted, 10, 1_000)]
    following.offer(at(admitted), VIEW)
    assert await told(following) == []


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (Gone(1, Reason.HEARTBEAT_TIMEOUT), "heartbeat_timeout"),
        (Gone(1, Reason.CANCELLED), "cancelled"),
        (Unserved.NO_QUEUE, "queue_deleted"),
        (UNKNOWN, "expired"),
    ],
)
async def test_an_end_names_its_reason(place: Place, reason: str) -> None:
    following = stream()
    following.offer(at(place), None)
    assert await told(following) == [EndedUpdate(reason)]


async def test_nothing_is_said_of_a_place_whose_queue_is_not_known_just_now() -> None:
    following = stream()
    following.offer(at(Waiting(3)), None)
    following.offer(at(Admitted(1, 2)), None)
    assert await told(following) == []


async def test_a_farewell_is_not_overtaken() -> None:
    following = stream()
    following.close(is_replaced=True)
    following.offer(at(Waiting(3)), VIEW)
    assert await told(following) == [Farewell(is_replaced=True)]


async def test_what_the_reader_knows_from_elsewhere_is_not_told_again() -> None:
    following = stream()
    following.offer(at(Waiting(3)), VIEW)
    following.told(PositionUpdate(2, 10, 1, heartbeat_timeout_s=60))
    following.offer(at(Waiting(2)), VIEW)
    assert await told(following) == []


async def test_a_reader_that_waits_is_woken_by_news_and_by_nothing_else(
    autojump_clock: trio.testing.MockClock,
) -> None:
    following = stream()
    following.told(PositionUpdate(4, 10, 1, heartbeat_timeout_s=60))
    heard: list[tuple[float, Update | None]] = []

    async def read() -> None:
        began = trio.current_time()
        for _ in range(2):
            update = await following.next(60)
            heard.append((trio.current_time() - began, update))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.sleep(10)
        following.offer(at(Waiting(4)), VIEW)
        await trio.sleep(10)
        following.offer(at(Waiting(3)), VIEW)
    assert heard == [(20, PositionUpdate(3, 10, 1, heartbeat_timeout_s=60)), (80, None)]


async def test_a_cancelled_reader_leaves_the_news_for_the_next(
    autojump_clock: trio.testing.MockClock,
) -> None:
    following = stream()
    with trio.move_on_after(1):
        await following.next(60)
    following.offer(at(Waiting(3)), VIEW)
    assert await told(following) == [PositionUpdate(3, 10, 1, heartbeat_timeout_s=60)]
