"""The workers of all webhooks: what goes wrong with one is no other's trouble, what is lost is counted."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from wr.events.event_bus import EventBus
from wr.events.requesting import RequestFailure
from wr.events.webhook_dispatcher import WebhookDispatcher
from wr.events.webhook_worker import DeliveryPolicy
from wr.metrics.event_metrics import EventTally
from wr.model.events import EventType
from wr.model.refusals import Unavailable
from wr.model.webhooks import DeadLetter, Webhook


def webhook(name: str, **rest: object) -> Webhook:
    facts: dict[str, object] = {
        "url": f"http://{name}/",
        "events": ["*"],
        "secret": "s",
        "created_ms": 1,
        **rest,
    }
    return Webhook(id=name, **facts)  # type: ignore[arg-type]


class DeadLetterStorage:
    """Where dead letters go; as slow as it is told to be."""

    def __init__(self) -> None:
        self.kept: list[DeadLetter] = []
        self.takes_s = 0.0
        self.is_away = False
        self.goes_each_time = 0

    async def bury(self, letters: Sequence[DeadLetter], /) -> int:
        await trio.sleep(self.takes_s)
        if self.is_away:
            raise Unavailable("away")
        self.kept += letters
        return self.goes_each_time

    async def remove(self, letter_id: str, /) -> bool:
        return bool(letter_id)


class WebhookStorage:
    def __init__(self, *webhooks: Webhook) -> None:
        self.webhooks = list(webhooks)
        self.dead_letters = DeadLetterStorage()

    async def list(self) -> Sequence[Webhook]:
        return self.webhooks


class Post:
    """Notes what is posted; the answer is a status, or what is to be raised."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, str]] = []
        self.answers: dict[str, list[int | Exception]] = {}
        self.takes_s = 0.0

    async def __call__(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> int:
        await trio.sleep(self.takes_s)
        self.posted.append((url, dict(headers)["X-WR-Signature"]))
        answers = self.answers.get(url)
        answer = answers.pop(0) if answers else 204
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def keep(self) -> None:
        await trio.sleep_forever()

    def count(self, name: str) -> int:
        return sum(url == f"http://{name}/" for url, _ in self.posted)


class Scene:
    def __init__(self, *webhooks: Webhook, tries: int = 3) -> None:
        self.storage = WebhookStorage(*webhooks)
        self.event_bus = EventBus()
        self.tally = EventTally()
        self.post = Post()
        plan = DeliveryPolicy(
            post=self.post,
            tries=tries,
            first_pause_s=10,
            most_waiting=10_000,
            source="test",
            draw=lambda: 0.5,
            clock_ms=lambda: 1_700_000_000_000,
        )
        self.hooks = WebhookDispatcher(self.storage, self.event_bus, self.tally, plan)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.hooks.run)
            yield
            nursery.cancel_scope.cancel()

    def happen(self, queue_id: str = "q", at_ms: int = 1) -> None:
        self.event_bus.note(EventType.QUEUE_DELETED, queue_id, at_ms)


async def test_an_unexpected_error_ends_neither_other_workers_nor_its_own_for_long(
    autojump_clock: trio.testing.MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = Scene(webhook("odd"), webhook("sound"))
    scene.post.answers["http://odd/"] = [RuntimeError("nobody thought of this")]
    async with scene.running():
        scene.happen()
        await trio.sleep(0.5)
        assert (scene.post.count("odd"), scene.post.count("sound")) == (1, 1)
        scene.happen("other")
        await trio.sleep(0.1)
        assert scene.post.count("sound") == 2, "the others were not even interrupted"
        await trio.sleep(1)
        assert scene.post.count("odd") == 3, "it began again, and nothing was lost"
    assert scene.tally.delivered == 4
    told = capsys.readouterr().out
    assert told.count("] deliveries failed and are begun again") == 1
    assert "nobody thought of this" in told


async def test_a_webhook_that_is_changed_keeps_what_waits_and_tells_it_the_new_way(
    autojump_clock: trio.testing.MockClock,
) -> None:
    scene = Scene(webhook("old"))
    scene.post.answers["http://old/"] = [RequestFailure("away")] * 9
    async with scene.running():
        scene.happen()
        await trio.sleep(1)
        scene.storage.webhooks = [
            webhook("old", url="http://new/", secret="another", events=["queue.created"])
        ]
        await trio.sleep(5)
        scene.happen("that it does not want any more")
        await trio.sleep(30)
    assert (scene.post.count("old"), scene.post.count("new")) == (1, 1)
    (_, before), (_, after) = scene.post.posted
    assert before != after, "signed with the new secret"
    assert scene.tally.delivered == 1


async def test_more_dead_letters_than_there_is_room_for_are_counted_and_said_once_a_minute(
    autojump_clock: trio.testing.MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = Scene(webhook("dead"), tries=1)
    scene.post.answers["http://dead/"] = [500] * 100
    scene.storage.dead_letters.goes_each_time = 1
    async with scene.running():
        for number in range(30):
            scene.happen(f"q-{number}")
            await trio.sleep(3)
    assert scene.tally.dropped == 30
    assert capsys.readouterr().out.count("dead letters are dropped") == 2


async def test_a_burial_that_takes_too_long_when_the_server_stops_is_counted_and_said(
    autojump_clock: trio.testing.MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = Scene(webhook("one"), webhook("other"))
    scene.post.answers = {f"http://{name}/": [500] * 9 for name in ("one", "other")}
    async with scene.running():
        scene.happen()
        await trio.sleep(1)
    scene.storage.dead_letters.takes_s = 60
    began_s = trio.current_time()
    await scene.hooks.bury_the_rest()
    assert trio.current_time() - began_s == 3
    assert (scene.tally.dropped, scene.tally.waiting) == (2, 0)
    assert capsys.readouterr().out.count("the store takes too long") == 1


async def test_each_webhook_has_its_own_room_among_what_is_buried_when_the_server_stops(
    autojump_clock: trio.testing.MockClock,
) -> None:
    scene = Scene(webhook("first"), webhook("second"))
    scene.post.answers = {f"http://{name}/": [500] * 2_000 for name in ("first", "second")}
    async with scene.running():
        for number in range(1_200):
            scene.happen(f"q-{number}")
        await trio.sleep(1)
    await scene.hooks.bury_the_rest()
    assert {
        name: sum(letter.webhook_id == name for letter in scene.storage.dead_letters.kept)
        for name in ("first", "second")
    } == {"first": 1_000, "second": 1_000}
    assert scene.tally.dropped == 400


async def test_deliveries_that_pause_do_not_hold_up_those_that_could_go(
    autojump_clock: trio.testing.MockClock,
) -> None:
    scene = Scene(webhook("fails"))
    scene.post.answers["http://fails/"] = [500] * 3_000
    async with scene.running():
        for number in range(3_000):
            scene.happen(f"q-{number}")
        await trio.sleep(1)
        scene.happen("another")
        await trio.sleep(1)
        assert scene.tally.delivered == 1
        await trio.sleep(60)
        assert scene.tally.delivered == 3_001


async def test_a_stop_waits_until_all_that_waits_is_delivered_and_no_longer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    scene = Scene(webhook("sound"))
    scene.post.takes_s = 0.01
    async with scene.running():
        for number in range(4_000):
            scene.happen(f"q-{number}")
        # More wait than are made ready at once: the worker waits for room, and whoever stops it waits, too.
        await trio.sleep(0.1)
        began_s = trio.current_time()
        await scene.hooks.drained(60)
        # Eight at once, each 10 ms.
        assert trio.current_time() - began_s < 6
    assert scene.tally.delivered == 4_000
    await scene.hooks.bury_the_rest()
    assert (scene.storage.dead_letters.kept, scene.tally.dropped) == ([], 0)


async def test_a_stop_does_not_wait_for_what_comes_behind_a_delivery_that_pauses(
    autojump_clock: trio.testing.MockClock,
) -> None:
    scene = Scene(webhook("fails"))
    scene.post.answers["http://fails/"] = [500] * 9
    async with scene.running():
        scene.happen()
        await trio.sleep(1)
        scene.happen()
        began_s = trio.current_time()
        await scene.hooks.drained(5)
        assert trio.current_time() == began_s
