"""Looking names up: never in threads that others need, each name once at a time."""

import socket
import threading
from typing import Any

import pytest
import trio

from wr.events.dns_cache import DnsCache, NameNotFound

FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]


class Resolver:
    """Answers once it is told to, and counts who asks meanwhile."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = threading.Event()
        self.fails = False

    def __call__(self, host: str, port: int, **_how: Any) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        assert self.may_answer.wait(30)
        if self.fails:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return FOUND


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def until(condition: Any) -> None:
    with trio.fail_after(10):
        while not condition():  # noqa: ASYNC110 - what it waits for happens in threads
            await trio.sleep(0.01)


async def test_a_resolver_that_is_silent_takes_few_threads_and_none_that_others_need() -> None:
    resolver = Resolver()
    dns_cache = DnsCache(resolver)
    given_up: list[int] = []

    async def ask(number: int) -> None:
        with trio.move_on_after(0.2):
            await dns_cache.addresses(f"{number % 20}.example.com", 80)
        given_up.append(number)

    try:
        async with trio.open_nursery() as nursery:
            for number in range(60):
                nursery.start_soon(ask, number)
            await until(lambda: len(resolver.asked) == 8)
        assert len(given_up) == 60
        assert trio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
        assert len(resolver.asked) == len(set(resolver.asked)) == 8, "though nobody waits any more"
    finally:
        resolver.may_answer.set()
    await until(lambda: len(resolver.asked) == 20)


async def test_all_who_want_to_know_a_name_wait_for_one_look_up() -> None:
    resolver = Resolver()
    dns_cache = DnsCache(resolver)
    found: list[str] = []

    async def ask() -> None:
        found.extend(address.host for address in await dns_cache.addresses("hooks.example.com", 80))

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(ask)
        await until(lambda: resolver.asked)
        resolver.may_answer.set()
    assert found == ["192.0.2.1"] * 10
    assert resolver.asked == ["hooks.example.com"]


@pytest.mark.parametrize("fails", [False, True])
async def test_what_came_of_a_look_up_is_remembered_for_five_seconds(fails: bool) -> None:
    resolver, clock = Resolver(), Clock()
    resolver.may_answer.set()
    resolver.fails = fails
    dns_cache = DnsCache(resolver, clock_s=clock)

    async def ask() -> None:
        if fails:
            with pytest.raises(
                NameNotFound, match=r"hooks\.example\.com: Temporary failure in name resolution"
            ):
                await dns_cache.addresses("hooks.example.com", 80)
        else:
            await dns_cache.addresses("hooks.example.com", 80)

    for now_s, times in ((0.0, 1), (4.9, 1), (5.0, 2)):
        clock.now_s = now_s
        await ask()
        assert len(resolver.asked) == times


@pytest.mark.parametrize(
    ("spelled", "meant"), [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("0x7f000001", "127.0.0.1")]
)
async def test_addresses_in_digits_need_no_look_up(spelled: str, meant: str) -> None:
    resolver = Resolver()
    assert {each.host for each in await DnsCache(resolver).addresses(spelled, 80)} == {meant}
    assert resolver.asked == []


async def test_a_name_that_cannot_be_one_is_not_found() -> None:
    with pytest.raises(NameNotFound):
        await DnsCache().addresses("a" * 70 + ".example", 80)


async def test_a_look_up_for_which_there_is_no_thread_fails_and_is_begun_anew_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolver, clock = Resolver(), Clock()
    resolver.may_answer.set()
    dns_cache = DnsCache(resolver, clock_s=clock)
    names = [f"{number}.example.com" for number in range(20)]

    def refuse(*_what: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as system, trio.fail_after(10):
        system.setattr(trio.lowlevel, "start_thread_soon", refuse)
        for name in names:
            with pytest.raises(NameNotFound, match="no thread could be started"):
                await dns_cache.addresses(name, 80)
    clock.now_s = 5.0
    with trio.fail_after(10):
        for name in names:
            assert await dns_cache.addresses(name, 80)


async def test_a_look_up_that_waits_for_a_place_is_answered_though_no_thread_can_be_started_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolver = Resolver()
    dns_cache = DnsCache(resolver)
    answered: list[str] = []

    async def ask(name: str) -> None:
        try:
            await dns_cache.addresses(name, 80)
            answered.append("found")
        except NameNotFound:
            answered.append("not found")

    def refuse(*_what: object) -> None:
        raise RuntimeError("can't start new thread")

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            for number in range(2_000):
                nursery.start_soon(ask, f"{number}.example.com")
            await until(lambda: len(resolver.asked) == 8)
            monkeypatch.setattr(trio.lowlevel, "start_thread_soon", refuse)
            resolver.may_answer.set()
    assert (answered.count("found"), answered.count("not found")) == (8, 1_992)
