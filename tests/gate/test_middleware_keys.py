"""`wr.gate`: the published keys, while the waiting room answers, hangs, or says something else."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from typing import Any

import pytest

from tests.contract.helpers import wait_until
from tests.gate.middleware_site import (
    KEY,
    NOW_S,
    PUBLISHED,
    ScriptedRoom,
    answer,
    ask,
    holding,
    passes,
    saying,
    scripted_room,
    token,
)
from wr.gate import AsgiGate, PublishedKeys
from wr.gate.http_client import NoAnswer
from wr.gate.http_client import ask as request
from wr.gate.published_keys import fetch

PATIENCE_S = 10
RUBBISH = {
    "no HTTP": b"rubbish\r\n\r\n",
    "half an answer": b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{",
    "no JSON": answer(b"<!doctype html>"),
    "no object": answer(b"[]"),
    "no end of brackets": answer(b"[" * 100_000),
    "no set": answer(b'{"keys": 5}'),
    "no keys": answer(b'{"keys": []}'),
    "no key of use": answer(b'{"keys": [5, null, {}, {"kty": "RSA", "n": 5, "kid": "k1"}, {"kid": ["k1"]}]}'),
    "too much": answer(json.dumps(PUBLISHED).encode() + b" " * 400_000),
    "a refusal": answer(b"", "503 Service Unavailable"),
}


class Hanging:
    """Gives the key set, until it is told to hang, and then until it is let go."""

    def __init__(self) -> None:
        self.hangs = False
        self.fetches = 0
        self.goes_on = threading.Event()

    def __call__(self, _url: str) -> dict[str, Any]:
        self.fetches += 1
        if self.hangs:
            assert self.goes_on.wait(PATIENCE_S)
            raise OSError("timed out")
        return PUBLISHED


def test_a_known_key_is_used_at_once_while_the_waiting_room_hangs() -> None:
    fetch, now = Hanging(), [float(NOW_S)]
    reader = passes(fetch, now=now)
    assert reader.read(token()) is not None
    now[0], fetch.hangs = NOW_S + 400, True
    try:
        for _ in range(20):
            assert reader.read(token()) is not None
        # One asks for all of them, and has not come back.
        wait_until(lambda: fetch.fetches == 2)
        assert not fetch.goes_on.is_set()
    finally:
        fetch.goes_on.set()


def test_the_pause_between_two_attempts_begins_when_the_first_has_ended() -> None:
    now = [float(NOW_S)]
    fetched: list[float] = []

    def fetch(_url: str) -> dict[str, Any]:
        fetched.append(now[0])
        now[0] += 5
        raise OSError("timed out")

    reader = passes(fetch, now=now)
    for _ in range(5):
        assert reader.read(token()) is None
    assert len(fetched) == 1
    now[0] += 5
    reader.read(token())
    assert len(fetched) == 2


def test_all_who_come_before_the_first_set_is_there_wait_for_the_one_fetch() -> None:
    begun, goes_on = threading.Event(), threading.Event()
    fetched: list[str] = []

    def fetch(url: str) -> dict[str, Any]:
        fetched.append(url)
        begun.set()
        assert goes_on.wait(PATIENCE_S)
        return PUBLISHED

    reader = passes(fetch)
    with ThreadPoolExecutor(20) as crowd:
        first = crowd.submit(reader.read, token())
        assert begun.wait(PATIENCE_S)
        others = [crowd.submit(reader.read, token()) for _ in range(19)]
        goes_on.set()
        assert all(each.result(PATIENCE_S) is not None for each in [first, *others])
    assert len(fetched) == 1


def test_made_up_keys_hold_up_a_handful_of_requests_and_no_more() -> None:
    fetch, now = Hanging(), [float(NOW_S)]
    keys = PublishedKeys("", fetch=fetch, clock_s=lambda: now[0], beside_s=PATIENCE_S)
    assert keys.find("k1") is not None
    now[0], fetch.hangs = NOW_S + 10, True
    with ThreadPoolExecutor(9) as crowd:
        try:
            waiting = {crowd.submit(keys.find, "made-up") for _ in range(9)}
            # One fetches and four wait for it: those go on when it is let go, and not before.
            shut = list(islice(as_completed(waiting, PATIENCE_S), 4))
            assert fetch.fetches == 2
            assert not any(each.done() for each in waiting.difference(shut))
            assert keys.find("made-up") is None
        finally:
            fetch.goes_on.set()
        assert [each.result(PATIENCE_S) for each in waiting] == [None] * 9
    assert fetch.fetches == 2


def test_made_up_keys_are_not_waited_for_to_the_end() -> None:
    fetch, now = Hanging(), [float(NOW_S)]
    keys = PublishedKeys("", fetch=fetch, clock_s=lambda: now[0], beside_s=0.01)
    assert keys.find("k1") is not None
    now[0], fetch.hangs = NOW_S + 10, True
    with ThreadPoolExecutor(1) as crowd:
        try:
            asker = crowd.submit(keys.find, "made-up")
            wait_until(lambda: fetch.fetches == 2)
            assert keys.find("made-up") is None
            assert not asker.done()
        finally:
            fetch.goes_on.set()


def test_an_attempt_that_never_ended_does_not_keep_others_from_asking() -> None:
    fetch, now = Hanging(), [float(NOW_S)]
    reader = passes(fetch, now=now)
    assert reader.read(token()) is not None
    now[0], fetch.hangs = NOW_S + 400, True
    try:
        assert reader.read(token()) is not None
        wait_until(lambda: fetch.fetches == 2)
        now[0] += 100
        assert reader.read(token()) is not None
        wait_until(lambda: fetch.fetches == 3)
    finally:
        fetch.goes_on.set()


def test_a_token_that_names_no_key_of_the_waiting_room_costs_no_request() -> None:
    fetch = Hanging()
    reader = passes(fetch)
    for stranger in (
        token(kid=None),
        token(kid=""),
        "nonsense",
        f"{token()}==",
        f"{token()[:5000]}{'a' * 5000}",
    ):
        assert reader.read(stranger) is None
    assert fetch.fetches == 0


@pytest.mark.parametrize("said", RUBBISH.values(), ids=RUBBISH)
def test_rubbish_instead_of_keys_shuts_the_gate_and_is_logged(
    said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with scripted_room(said) as room:
        gate = AsgiGate(saying(), server=room.url, queue="demo")
        assert ask(gate, "/", holding(token(exp=4_000_000_000))).status == 303
    assert [record.levelname for record in caplog.records if "keys were not fetched" in record.message] == [
        "ERROR"
    ]
    assert all(len(record.message) < 400 for record in caplog.records)


def _keep(room: ScriptedRoom) -> Callable[[str], dict[str, Any]]:
    answers: list[Callable[[], dict[str, Any]]] = [lambda: fetch(room.url), lambda: PUBLISHED]
    return lambda _url: answers.pop()()


def test_rubbish_instead_of_keys_leaves_the_set_at_hand(caplog: pytest.LogCaptureFixture) -> None:
    now = [float(NOW_S)]
    with scripted_room(RUBBISH["no keys"]) as room:
        reader = passes(_keep(room), now=now)
        assert reader.read(token()) is not None
        now[0] += 400
        assert reader.read(token()) is not None
        wait_until(lambda: "keys were not fetched" in caplog.text)
        assert reader.read(token()) is not None


def test_a_key_that_is_of_no_use_does_not_spoil_the_others() -> None:
    published = {"keys": [{"kty": "post-quantum", "kid": "k0"}, "rubbish", *PUBLISHED["keys"]]}
    keys = PublishedKeys("", fetch=lambda _: published)
    found = keys.find("k1")
    assert found is not None
    assert found.key.public_numbers() == KEY.public_key().public_numbers()


def test_an_answer_that_does_not_end_in_time_is_none() -> None:
    clock = iter([0.0, 6.0])
    with scripted_room(answer(b"{}")) as room, pytest.raises(NoAnswer, match="does not end"):
        request(room.url, clock_s=lambda: next(clock))
