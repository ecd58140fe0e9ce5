"""Whatever the fast lane reads, h11 reads the same, which Hypercorn reads with; the rest is odd."""

from typing import Any
from urllib.parse import unquote

import h11
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.byte_streams import (
    EVERYTHING,
    FORM,
    HEALTH,
    PLAIN,
    ROWS,
    chunked,
    get,
    many_headers,
    post,
    upgrade,
)
from wr.api.http_messages import WEBSOCKET, HttpRequest
from wr.http.head_shapes import HeadShapes
from wr.http.request_reader import IS_ODD, MAX_HEAD_BYTES, NEEDS_MORE, ReadOutcome, RequestReader

Read = tuple[str, str, str, dict[str, str], bytes, bool]
"""Method, path, query, headers, body, and whether it is the last."""


def by_fast_lane(
    stream: bytes, *, step: int = 0, shapes: HeadShapes | None = None
) -> tuple[list[Read], ReadOutcome, bytes]:
    """Read all requests of a stream that comes in steps; then what the reader says, and what it leaves."""
    reader = RequestReader("10.0.0.1", shapes or HeadShapes())
    requests: list[Read] = []
    pieces = [stream[at : at + step] for at in range(0, len(stream), step)] if step else [stream]
    outcome = NEEDS_MORE
    for number, piece in enumerate(pieces):
        reader.rest += piece
        while isinstance(asked := reader.take(), HttpRequest):
            is_upgrade = asked.method == WEBSOCKET
            method = "GET" if is_upgrade else asked.method
            requests.append(
                (method, asked.path, asked.query, asked.headers, asked.body or b"", reader.is_last)
            )
            if is_upgrade or reader.is_last:
                return (
                    requests,
                    NEEDS_MORE,
                    b"" if is_upgrade else reader.rest + b"".join(pieces[number + 1 :]),
                )
        outcome = asked
        if outcome is IS_ODD:
            return requests, outcome, reader.rest + b"".join(pieces[number + 1 :])
    return requests, outcome, reader.rest


def by_h11(stream: bytes) -> list[Read]:
    """Read all requests of a stream up to the first that h11 refuses, or that asks for an upgrade."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(stream)
    requests: list[Read] = []
    try:
        while isinstance(head := server.next_event(), h11.Request):
            headers: dict[str, str] = {}
            for raw_name, raw_value in head.headers:
                name, value = raw_name.decode(), raw_value.decode("latin-1")
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
            path, _, query = head.target.partition(b"?")
            body, event = b"", None
            while isinstance(event := server.next_event(), h11.Data):
                body += event.data
            if not isinstance(event, h11.EndOfMessage):
                break
            is_last = server.their_state is h11.MUST_CLOSE
            method = head.method.decode().upper()
            requests.append((method, unquote(path.decode()), query.decode(), headers, body, is_last))
            if server.their_state is not h11.DONE:
                break
            server.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
            server.send(h11.EndOfMessage())
            server.start_next_cycle()
    except h11.RemoteProtocolError:
        pass
    return requests


def assert_read_alike(stream: bytes) -> None:
    shapes = HeadShapes()
    requests, outcome, rest = by_fast_lane(stream, shapes=shapes)
    assert requests == by_h11(stream)[: len(requests)], stream
    # By now the shapes of its heads are known.
    assert by_fast_lane(stream, shapes=shapes) == (requests, outcome, rest), stream


@pytest.mark.parametrize("name", EVERYTHING)
def test_what_is_read_of_a_stream_is_what_h11_reads(name: str) -> None:
    assert_read_alike(EVERYTHING[name].replace(b"{token}", b"a.b.c"))


@pytest.mark.parametrize("name", [name for name, stream in EVERYTHING.items() if len(stream) < 3000])
def test_cut_into_pieces_a_stream_is_read_as_it_is_whole(name: str) -> None:
    stream = EVERYTHING[name]
    at_once, _, _ = by_fast_lane(stream)
    for step in (1, 2, 3, 7, 50):
        requests, outcome, rest = by_fast_lane(stream, step=step)
        assert requests == at_once
        if outcome is IS_ODD:
            assert stream.endswith(rest), "all that was not answered is there for the general lane"


SPLIT = {name: stream for name, stream in {**PLAIN, **ROWS}.items() if len(stream) < 1000}


@pytest.mark.parametrize("name", SPLIT)
def test_cut_in_two_anywhere_a_stream_is_read_as_it_is_whole(name: str) -> None:
    stream = SPLIT[name]
    at_once, outcome, rest = by_fast_lane(stream)
    for cut in range(1, len(stream)):
        assert by_fast_lane(stream, step=cut)[0] == at_once, cut
    assert (outcome, rest) == by_fast_lane(stream, step=len(stream))[1:]


def test_plain_requests_are_read_and_odd_ones_are_not() -> None:
    plain = [HEALTH, post(FORM), get(b"/%68?a=b", b"X-A: b", method=b"DELETE"), upgrade(), many_headers(150)]
    assert [len(by_fast_lane(stream)[0]) for stream in plain] == [1] * len(plain)
    odd = [
        *(chunked(FORM), get(version=b"HTTP/1.0"), get(b"http://wr/"), get(b"/", b"Expect: 100-continue")),
        *(post(b" " * 16_385), get(b"/", b"A: " + b"a" * MAX_HEAD_BYTES), get(b"/", b"Upgrade: h2c")),
        *(
            upgrade(version=b"8"),
            upgrade(key=b""),
            HEALTH.replace(b"Host", b"Most"),
            b"\n" + HEALTH,
            b"\x16\x03",
        ),
    ]
    assert [by_fast_lane(stream)[:2] for stream in odd] == [([], IS_ODD)] * len(odd)
    assert [by_fast_lane(stream)[2] for stream in odd] == odd


def test_a_row_of_requests_is_read_up_to_the_odd_one_which_stays_whole() -> None:
    requests, outcome, rest = by_fast_lane(HEALTH + post(FORM) + chunked(FORM) + HEALTH)
    assert [request[0] for request in requests] == ["GET", "POST"]
    assert (outcome, rest) == (IS_ODD, chunked(FORM) + HEALTH)


def test_a_reader_that_is_closed_holds_nothing() -> None:
    reader = RequestReader("", HeadShapes())
    reader.rest = post(FORM)[:-1]
    assert reader.take() is NEEDS_MORE
    assert reader.has_head
    reader.close()
    assert (reader.rest, reader.has_head) == (b"", False)


_SOUND = st.sampled_from(
    [
        *(HEALTH, post(FORM), get(b"/a?b=c", b"X-A: b", b"x-a: c", b"Connection: keep-alive"), upgrade()),
        *(get(b"/", b"X-Forwarded-For: a", b"X-Forwarded-For: b", b"Connection: close", method=b"HEAD"),),
    ]
)
_PARTS = st.sampled_from(
    [
        *(
            b"\r\n",
            b"\n",
            b"\r",
            b" ",
            b"\t",
            b"\0",
            b"\x01",
            b"\x7f",
            b"\x80",
            b"\x85",
            b"\xa0",
            b"\xff",
            b"\x0b",
        ),
        *(
            b":",
            b",",
            b";",
            b"\r\n ",
            b"\r\n\t",
            b"?",
            b"#",
            b"%",
            b"%ff",
            b"//",
            b"+",
            b"5",
            b"0",
            b"*",
            b" :",
        ),
        *(b"\r\n\r\n", b"\n\n", b"HTTP/1.0", b"X:\r\n", b"X: \r\n", b"Host: x\r\n", b"Content-Length: 5\r\n"),
        *(b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", HEALTH, b""),
    ]
)


@st.composite
def spoilt(draw: Any) -> bytes:
    """Requests in a row with something put in, taken out or put in place of something else."""
    stream: bytes = b"".join(draw(st.lists(_SOUND, min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(stream)))
        until = place + draw(st.integers(0, 3))
        stream = stream[:place] + draw(_PARTS | st.binary(max_size=2)) + stream[until:]
    return stream


@given(spoilt())
@settings(
    max_examples=2000, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
def test_whatever_is_read_of_spoilt_requests_is_what_h11_reads(stream: bytes) -> None:
    assert_read_alike(stream)
