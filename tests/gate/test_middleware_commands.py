"""`wr.gate`: what the site says of a session in `X-WR-Command`."""

import json
from typing import Any

import pytest

from tests.contract.helpers import wait_until
from tests.gate.middleware_site import (
    COOKIE,
    NOW_S,
    answer,
    ask,
    holding,
    passes,
    saying,
    scripted_room,
    token,
)
from wr.gate import AsgiGate, Commands, Passes, WsgiGate
from wr.gate.commands import Command, read_command
from wr.gate.ended_sessions import Ended

DONE = answer(b"{}")
GONE = f"{COOKIE}=; Path=/; HttpOnly; SameSite=None; Secure; Max-Age=0"


def gate_saying(
    *said: str, room: str, rules: Passes | None = None, patience_s: float = 10
) -> tuple[AsgiGate, Commands]:
    commands = Commands(room, "the-key", patience_s=patience_s)
    return AsgiGate(saying(*said), passes=rules or passes(), commands=commands), commands


@pytest.mark.parametrize("said", ["end", "revoke"])
def test_who_was_ended_by_the_site_is_out_at_once_and_has_no_cookie(said: str) -> None:
    with scripted_room(DONE) as room:
        gate, commands = gate_saying(said, room=room.url)
        last = ask(gate, "/", holding(token()))
        assert (last.status, last.all("set-cookie"), last.all("x-wr-command")) == (200, [GONE], [])
        assert ask(gate, "/", holding(token())).status == 303
        assert ask(gate, "/", ("authorization", f"Bearer {token()}")).status == 303
        assert ask(gate, f"/?wr_token={token()}").all("set-cookie") == []
        assert ask(gate, "/", holding(token("another"))).status == 200
        commands.close()
    (head, _, body) = room.heard[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/v1/sessions/s1/commands ")
    assert b"x-wr-origin-key: the-key" in head.lower()
    assert json.loads(body) == {"command": said}


def test_whose_end_the_waiting_room_was_not_told_gets_in_again(caplog: pytest.LogCaptureFixture) -> None:
    for refusal in (answer(b"", "503 Service Unavailable"), answer(b"", "404 Not Found"), b"rubbish\r\n\r\n"):
        caplog.clear()
        with scripted_room(refusal) as room:
            gate, commands = gate_saying("end", room=room.url)
            assert ask(gate, "/", holding(token())).status == 200
            commands.close()
        assert ask(gate, "/", holding(token())).status == 200
        assert "did not get the command end" in caplog.text
        assert "the-key" not in caplog.text


def test_a_session_that_had_ended_already_counts_as_told(caplog: pytest.LogCaptureFixture) -> None:
    with scripted_room(answer(b"{}", "410 Gone")) as room:
        gate, commands = gate_saying("end", room=room.url)
        assert ask(gate, "/", holding(token())).status == 200
        commands.close()
        assert ask(gate, "/", holding(token())).status == 303
    assert not caplog.records


def test_the_origin_key_follows_no_redirect(caplog: pytest.LogCaptureFixture) -> None:
    with scripted_room(DONE) as stranger:
        for status in ("302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"):
            with scripted_room(answer(b"", status, f"Location: {stranger.url}/")) as room:
                gate, commands = gate_saying("end", room=room.url)
                ask(gate, "/", holding(token()))
                commands.close()
        assert stranger.heard == []
    assert caplog.text.count("did not get the command end") == 4


def test_after_close_an_answer_goes_out_and_the_command_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    gate, commands = gate_saying("end", room="http://127.0.0.1:1")
    commands.close()
    assert ask(gate, "/", holding(token())).status == 200
    assert ask(gate, "/", holding(token())).status == 200
    assert "did not get the command end" in caplog.text


@pytest.mark.parametrize(
    ("said", "settled"),
    [
        (["extend=60", "end"], {"command": "end"}),
        (["revoke", "extend=60"], {"command": "revoke"}),
        (["end", "revoke"], {"command": "end"}),
        (["extend=60", "extend=90"], {"command": "extend", "seconds": 90}),
        (["explode", "extend=60"], {"command": "extend", "seconds": 60}),
    ],
)
def test_of_several_commands_in_one_answer_one_is_told(said: list[str], settled: dict[str, object]) -> None:
    with scripted_room(DONE) as room:
        gate, commands = gate_saying(*said, room=room.url)
        assert ask(gate, "/", holding(token())).all("x-wr-command") == []
        commands.close()
    assert [json.loads(each.partition(b"\r\n\r\n")[2]) for each in room.heard] == [settled]


def test_more_time_brings_a_new_cookie_that_lasts_beyond_the_old_end() -> None:
    now = [float(NOW_S)]
    rules = passes(now=now)
    longer = token(exp=NOW_S + 9_000)
    with scripted_room(answer(json.dumps({"session_token": longer}).encode())) as room:
        gate, commands = gate_saying("extend=9000", room=room.url, rules=rules)
        told = ask(gate, "/", holding(token()))
        commands.close()
    assert told.all("set-cookie") == [f"{COOKIE}={longer}; Path=/; HttpOnly; SameSite=None; Secure"]
    now[0] = NOW_S + 5_000
    assert rules.read(token()) is None
    assert rules.read(longer) is not None


def test_a_wsgi_answer_gets_the_new_cookie_too() -> None:
    longer = token(exp=NOW_S + 9_000)
    sent: list[list[tuple[str, str]]] = []

    def site(_: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("X-WR-Command", "extend=9000"), ("X-Other", "kept")])
        return []

    with scripted_room(answer(json.dumps({"session_token": longer}).encode())) as room:
        commands = Commands(room.url, "the-key", patience_s=10)
        gate = WsgiGate(site, passes=passes(), commands=commands)
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_COOKIE": f"{COOKIE}={token()}"}
        gate(environ, lambda _, headers: sent.append(headers))
        commands.close()
    assert sent == [
        [("X-Other", "kept"), ("Set-Cookie", f"{COOKIE}={longer}; Path=/; HttpOnly; SameSite=Lax")]
    ]


@pytest.mark.parametrize(
    "said",
    [
        answer(b"{}"),
        answer(b'{"session_token": 5}'),
        answer(json.dumps({"session_token": "a.b.c; Domain=example.com"}).encode()),
        answer(json.dumps({"session_token": token("another")}).encode()),
        answer(b"", "410 Gone"),
        b"rubbish\r\n\r\n",
        None,
    ],
    ids=["none", "number", "injected", "of another", "over", "rubbish", "no answer"],
)
def test_without_a_new_token_the_answer_goes_out_with_the_old_and_that_is_logged(
    said: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    with scripted_room(said) as room:
        gate, commands = gate_saying("extend=600", room=room.url, patience_s=10 if said else 0.1)
        told = ask(gate, "/", holding(token()))
        assert (told.status, told.all("set-cookie")) == (200, [])
        assert ask(gate, "/", holding(token())).status == 200
    commands.close()
    assert {record.levelname for record in caplog.records} == {"ERROR"}


def test_a_websocket_is_accepted_and_its_command_told() -> None:
    with scripted_room(DONE) as room:
        gate, commands = gate_saying("end", room=room.url)
        told = ask(gate, "/", holding(token()), kind="websocket")
        assert (told.messages[0]["type"], told.all("x-wr-command")) == ("websocket.accept", [])
        commands.close()
        assert len(room.heard) == 1


def test_what_waits_to_be_told_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    restored: list[int] = []
    with scripted_room(None) as room:
        commands = Commands(room.url, "the-key")
        for number in range(1_200):
            commands.tell("s1", Command("end"), if_not=lambda number=number: restored.append(number))
        assert restored == list(range(1_000, 1_200))
        # The rest is let go, or the test would last as long as a thousand times its patience.
        commands.close(drop_waiting=True)
    wait_until(lambda: caplog.text.count("did not get the command") >= 200)


@pytest.mark.parametrize(
    ("spelled", "command"),
    [
        ("end", Command("end")),
        (" revoke ", Command("revoke")),
        ("extend=1", Command("extend", 1)),
        ("extend=604800", Command("extend", 604_800)),
        *(
            (wrong, None)
            for wrong in ("extend=604801", "extend", "extend=", "extend=0", "extend=07", "end=5")
        ),
        *((wrong, None) for wrong in ("revoke=5", "End", "", "extend=-5", "extend=5\nend", "extend=٥")),
    ],
)
def test_commands_are_spelled_as_for_the_waiting_room(spelled: str, command: Command | None) -> None:
    assert read_command(spelled) == command


def test_ended_sessions_are_forgotten_when_their_tokens_are_over_or_too_many_came_after() -> None:
    ended = Ended(most=3)
    ended.note("a", 10, 0)
    assert ended.holds("a", 10)
    ended.note("b", 20, 10)
    assert [ended.holds(each, 10) for each in "ab"] == [False, True]
    for each in "cde":
        ended.note(each, 30, 11)
    assert [ended.holds(each, 20) for each in "bcde"] == [False, True, True, True]
    ended.forget("d")
    assert not ended.holds("d", 30)


def test_an_ended_session_stays_so_for_as_long_as_its_longest_token() -> None:
    ended = Ended()
    ended.note("a", 10, 0)
    assert ended.holds("a", 50)
    ended.note("b", 20, 11)
    ended.note("a", 20, 11)
    ended.note("c", 60, 25)
    assert ended.holds("a", 50)


def test_a_key_that_no_header_can_hold_is_refused_at_once_and_not_named() -> None:
    for key in ("", " ", "sEcReT key", "sEcReT\nkey", "sEcReT-ключ"):
        with pytest.raises(ValueError, match="the origin key must consist") as refused:
            Commands("http://room", key)
        assert "sEcReT" not in str(refused.value)
    with pytest.raises(ValueError, match="address"):
        Commands("room.example", "the-key")


def test_a_key_from_a_file_is_sent_without_the_end_of_its_line() -> None:
    with scripted_room(DONE) as room:
        commands = Commands(room.url, "the-key\n")
        gate = AsgiGate(saying("end"), passes=passes(), commands=commands)
        ask(gate, "/", holding(token()))
        commands.close()
    assert b"x-wr-origin-key: the-key\r\n" in room.heard[0].lower()
