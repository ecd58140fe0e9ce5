"""Both lanes answer the same bytes alike, however they are cut; where they do not, this says why."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.byte_streams import EVERYTHING, FORM, HEALTH, PLAIN, ROWS, UPGRADES, chunked, get, post
from tests.support.engines import running_engine
from tests.support.two_lanes import ADMIN_KEY, Outcome, TwoLanes, two_lanes

_LAST_IS_LOST = (
    "The client says that a request is its last, and sends more all the same. The fast lane answers the last "
    "and overlooks the rest. Hypercorn calls it an error while it is still working on the answer, sends 400 "
    "instead, and what the request did is done without the client knowing."
)
DIFFERENT: dict[str, tuple[list[int], list[int], str]] = {
    "in a row: a last one in the middle": ([200, 200], [200, 400], _LAST_IS_LOST),
    "in a row: a last one with a body": ([201], [400], _LAST_IS_LOST),
    "in a row: a last one without a path": ([404], [400], _LAST_IS_LOST),
    "a WebSocket with a false token and a frame": (
        [401],
        [400],
        "A client may not send a frame before the server has agreed. Hypercorn refuses that first; the fast "
        "lane keeps the frame until it has looked at the token, and so says what is wrong with that.",
    ),
}
"""Streams that are answered differently: the fast lane's statuses, the general lane's, and why."""

_BEFORE_THE_ANSWER = (
    "What comes behind a last request is an error to Hypercorn only if it comes before the answer."
)
CUT_MATTERS: dict[str, tuple[list[list[int]], str]] = {
    "in a row: HTTP/1.0 among others": ([[200, 400], [200, 200]], _BEFORE_THE_ANSWER),
    "in a row: a last one in the middle": ([[200, 200], [200, 400]], _BEFORE_THE_ANSWER),
    "in a row: a last one with a body": ([[201], [400]], _BEFORE_THE_ANSWER),
    "in a row: a last one without a path": ([[404], [400]], _BEFORE_THE_ANSWER),
    "a WebSocket with a false token and a frame": ([[401], [400]], _BEFORE_THE_ANSWER),
}
"""Streams that Hypercorn answers in one way or another, depending on how they are cut: statuses, and why."""


@pytest.fixture(scope="module")
def lanes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoLanes]:
    folder = tmp_path_factory.mktemp("lanes")
    with running_engine("valkey", folder) as engine, two_lanes(engine.url, str(folder)) as both:
        queue = {"id": "line", "target_url": "https://shop.example/", "status": "paused", "unique_by": "none"}
        both.ask("POST", "/api/v1/admin/queues", queue, X_Admin_Key=ADMIN_KEY)
        yield both


@pytest.fixture(scope="module")
def streams(lanes: TwoLanes) -> dict[str, bytes]:
    """The named streams, with a token that is valid where they have one."""
    token = lanes.ask("POST", "/api/v1/queues/line/enqueue")["token"].encode()
    return {name: stream.replace(b"{token}", token) for name, stream in EVERYTHING.items()}


@pytest.fixture(scope="module")
def expected(lanes: TwoLanes, streams: dict[str, bytes]) -> dict[str, Outcome]:
    """What the general lane makes of each."""
    return dict(zip(streams, lanes.talk(lanes.general, whole(streams.values())), strict=True))


def whole(streams: Iterable[bytes]) -> list[list[bytes]]:
    return [[stream] for stream in streams]


def statuses(outcome: Outcome) -> list[int]:
    return [answer.status for answer in outcome.answers]


def test_both_lanes_make_the_same_of_every_stream(
    lanes: TwoLanes, streams: dict[str, bytes], expected: dict[str, Outcome]
) -> None:
    outcomes = dict(zip(streams, lanes.talk(lanes.fast, whole(streams.values())), strict=True))
    differing = {
        name: (outcomes[name], expected[name]) for name in streams if outcomes[name] != expected[name]
    }
    assert {name: pair for name, pair in differing.items() if name not in DIFFERENT} == {}
    assert {name: (statuses(fast), statuses(general)) for name, (fast, general) in differing.items()} == {
        name: (fast, general) for name, (fast, general, _) in DIFFERENT.items()
    }


def test_no_stream_is_an_error_of_the_server(expected: dict[str, Outcome]) -> None:
    # 501 is what h11 says to a transfer coding it does not know.
    errors = {name: [each for each in statuses(outcome) if each >= 500] for name, outcome in expected.items()}
    assert {name for name, found in errors.items() if set(found) - {501}} == set()


def test_what_stands_behind_a_request_with_a_length_and_chunks_is_no_request(lanes: TwoLanes) -> None:
    hidden = post(FORM, target=b"/api/v1/queues/line/enqueue")
    both_ends = chunked(FORM, lines=(b"Content-Length: 5",))
    for port in lanes.ports:
        (outcome,) = lanes.talk(port, [[both_ends + hidden]])
        assert (statuses(outcome), outcome.ending) == ([201], "closed")
        assert ("connection", "close") in outcome.answers[0].headers


def test_no_stream_leaves_a_connection_open_for_ever(expected: dict[str, Outcome]) -> None:
    assert [name for name, outcome in expected.items() if outcome.ending == "hangs"] == []


_IN_A_ROW = {f"in a row: {name}" for name in ROWS}
_WEBSOCKETS = {f"a WebSocket with {name}" for name in UPGRADES}


def cuts(stream: bytes, most: int) -> list[int]:
    """Where to cut a stream: `most` times, evenly, and in the end of its first head."""
    end = stream.find(b"\r\n\r\n")
    places = {*range(1, len(stream), max(1, len(stream) // most)), end + 2}
    return sorted(place for place in places if 0 < place < len(stream))


def without_a_lost_end(outcome: Outcome) -> Outcome:
    """Overlook the body of an answer behind which the connection was closed.

    Who is refused in the middle of sending may find the connection reset before it has read all of that.
    """
    if outcome.ending != "closed" or not outcome.answers:
        return outcome
    *others, last = outcome.answers
    return replace(outcome, answers=(*others, replace(last, body=None)))


def assert_cuts_do_not_matter(
    lanes: TwoLanes, port: int, streams: dict[str, bytes], expected: dict[str, Outcome], most: int
) -> None:
    pieces = [
        (name, [stream[:cut], stream[cut:]]) for name, stream in streams.items() for cut in cuts(stream, most)
    ]
    outcomes = lanes.talk(port, [each for _, each in pieces])
    for (name, cut), outcome in zip(pieces, outcomes, strict=True):
        if name in CUT_MATTERS:
            assert statuses(outcome) in CUT_MATTERS[name][0], (name, cut)
        else:
            assert without_a_lost_end(outcome) == without_a_lost_end(expected[name]), (name, cut)


def test_the_fast_lane_answers_alike_wherever_a_stream_is_cut(
    lanes: TwoLanes, streams: dict[str, bytes], expected: dict[str, Outcome]
) -> None:
    thoroughly = {
        name: stream for name, stream in streams.items() if name in {*PLAIN, *_IN_A_ROW, *_WEBSOCKETS}
    }
    assert_cuts_do_not_matter(lanes, lanes.fast, thoroughly, expected, most=10)
    rest = {name: stream for name, stream in streams.items() if name not in thoroughly}
    assert_cuts_do_not_matter(lanes, lanes.fast, rest, expected, most=2)


def test_the_general_lane_answers_alike_wherever_a_stream_is_cut(
    lanes: TwoLanes, streams: dict[str, bytes], expected: dict[str, Outcome]
) -> None:
    assert_cuts_do_not_matter(lanes, lanes.general, streams, expected, most=1)


def test_both_lanes_take_a_request_that_comes_byte_by_byte(
    lanes: TwoLanes, streams: dict[str, bytes], expected: dict[str, Outcome]
) -> None:
    names = ["a request", "a join", "chunks", "in a row: chunks among others", "a wish to go on"]
    pieces = [[streams[name][each : each + 1] for each in range(len(streams[name]))] for name in names]
    for port in lanes.ports:
        assert lanes.talk(port, pieces) == [expected[name] for name in names]


INCOMPLETE = {
    "nothing": b"",
    "a letter": b"G",
    "half a line": HEALTH[:9],
    "half a head": HEALTH[:-2],
    "a request and half of one": HEALTH + HEALTH[:-2],
    "half a body": post(FORM)[:-1],
    "half a chunk": chunked(FORM)[:-9],
    "a request and half a body": HEALTH + post(FORM)[:-1],
}


def test_who_leaves_a_request_unfinished_is_told_so_and_hung_up_on(lanes: TwoLanes) -> None:
    fast, general = (
        dict(zip(INCOMPLETE, lanes.talk(port, whole(INCOMPLETE.values()), probe=b""), strict=True))
        for port in lanes.ports
    )
    for name in INCOMPLETE:
        assert (fast[name].ending, fast[name].answers) == (general[name].ending, general[name].answers)
        assert fast[name].ending == "waits", "neither answers what it has not read"
        last_words = ([each.status for each in lane[name].last_words] for lane in (fast, general))
        if name == "nothing":
            assert list(last_words) == [[], []]
        else:
            assert list(last_words) == [[408], [408]], name
    assert fast["half a body"] == general["half a body"]


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
            b"\xff",
            b":",
            b",",
            b"\r\n ",
            b"?",
        ),
        *(
            b"#",
            b"%",
            b"%ff",
            b"//",
            b"0",
            b"5",
            b"+",
            b"\r\n\r\n",
            b"\n\n",
            b"HTTP/1.0",
            b"*",
            b"X:\r\n",
            b"Host: x\r\n",
        ),
        *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: keep-alive\r\n"),
    ]
)
_SOUND = st.sampled_from(
    [HEALTH, get(b"/nowhere?a=b", b"X-A: b", b"x-a: c"), post(FORM), chunked(FORM), get(method=b"HEAD")]
)


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """Requests in a row with something put in, taken out or cut off."""
    stream = b"".join(draw(st.lists(_SOUND, min_size=1, max_size=3)))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(stream)))
        until = min(len(stream), place + draw(st.integers(0, 3)))
        stream = stream[:place] + draw(_PARTS | st.just(b"")) + stream[until:]
    return stream


@given(st.lists(spoilt(), min_size=100, max_size=100))
@settings(
    max_examples=3, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
def test_both_lanes_make_the_same_of_spoilt_requests(lanes: TwoLanes, spoilt_streams: list[bytes]) -> None:
    fast, general = (lanes.talk(port, whole(spoilt_streams)) for port in lanes.ports)
    for stream, one, other in zip(spoilt_streams, fast, general, strict=True):
        assert (statuses(one), one.ending) == (statuses(other), other.ending), stream
        assert without_a_lost_end(replace(one, last_words=())) == without_a_lost_end(
            replace(other, last_words=())
        ), stream
