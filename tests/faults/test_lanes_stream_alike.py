"""Live streams begin, take in what is said and end alike on both lanes."""

import re
from collections.abc import Iterator

import pytest

from tests.support.byte_streams import HEALTH, get, upgrade
from tests.support.engines import running_engine
from tests.support.two_lanes import ADMIN_KEY, TwoLanes, two_lanes, without_what_varies

EVENTS = "/api/v1/queues/line/events"
FRAME = bytes([0x81, 0x80 | 2]) + bytes(4) + b"[]"
CLOSE = bytes([0x88, 0x80 | 2]) + bytes(4) + b"\x03\xe8"
LIVE = {
    "events": get(EVENTS.encode(), b"Authorization: Bearer {token}"),
    "events, the token in the query": get(EVENTS.encode() + b"?access_token={token}"),
    "events, and a request behind": get(EVENTS.encode(), b"Authorization: Bearer {token}") + HEALTH,
    "events over HTTP/1.0": get(EVENTS.encode(), b"Authorization: Bearer {token}", version=b"HTTP/1.0"),
    "a WebSocket": upgrade(b"Authorization: Bearer {token}"),
    "a WebSocket, the token in the query": upgrade(target=b"/ws/queues/line?access_token={token}"),
    "a WebSocket, the token among protocols": upgrade(b"Sec-WebSocket-Protocol: bearer, {token}"),
    "a WebSocket that offers to compress": upgrade(
        b"Authorization: Bearer {token}", b"Sec-WebSocket-Extensions: permessage-deflate"
    ),
    "a WebSocket, names in other cases": upgrade(b"Authorization: Bearer {token}")
    .replace(b"Connection: Upgrade", b"CONNECTION: keep-alive, uPGRADE")
    .replace(b"websocket", b"WebSocket"),
}
"""Requests that begin a live stream."""
SAID = {"nothing": b"", "a message of another kind": FRAME, "farewell": CLOSE, "garbage": b"\xff" * 20}


@pytest.fixture(scope="module")
def lanes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoLanes]:
    folder = tmp_path_factory.mktemp("lanes")
    with running_engine("valkey", folder) as engine, two_lanes(engine.url, str(folder)) as both:
        queue = {"id": "line", "target_url": "https://shop.example/", "status": "paused", "unique_by": "none"}
        both.ask("POST", "/api/v1/admin/queues", queue, X_Admin_Key=ADMIN_KEY)
        yield both


def head_and_rest(received: bytes) -> tuple[list[str], str]:
    """Take what a stream brought apart, without what differs each time."""
    head, _, rest = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").lower().split("\r\n")
    kept = [line.rstrip() for line in lines if not re.match(r"date|x-ratelimit-re|x-request-id: req-", line)]
    if "transfer-encoding: chunked" in kept:
        assert rest.endswith(b"\r\n0\r\n\r\n"), rest
        rest = re.sub(rb"(?:^|\r\n)[0-9a-f]+\r\n", b"", rest)
    return [first.split(" ")[1], *sorted(kept)], without_what_varies(rest.decode("latin-1"))


CASES = [(name, said) for name in LIVE for said in SAID if said == "nothing" or "WebSocket" in name]
"""An event stream takes nothing in."""


@pytest.mark.parametrize(("name", "said"), CASES)
def test_a_live_stream_begins_and_ends_alike_on_both_lanes(lanes: TwoLanes, name: str, said: str) -> None:
    outcomes = []
    for port in lanes.ports:
        # Positions of one digit on both lanes: a frame says how long it is.
        lanes.ask("POST", "/api/v1/admin/queues/line/flush", X_Admin_Key=ADMIN_KEY)
        token = lanes.ask("POST", "/api/v1/queues/line/enqueue")["token"]
        begun = lanes.listen(port, LIVE[name].replace(b"{token}", token.encode()), SAID[said])
        if said == "nothing":
            lanes.ask("POST", "/api/v1/admin/queues/line/flush", X_Admin_Key=ADMIN_KEY)
        outcomes.append(head_and_rest(begun()))
    fast, general = outcomes
    assert fast == general
    assert fast[0][0] in ("101", "200")


def test_protocols_in_two_lines_are_one_list_for_the_fast_lane_and_the_last_one_for_hypercorn(
    lanes: TwoLanes,
) -> None:
    # RFC 6455, section 11.3.4: the header may appear more than once. So the fast lane finds the token, and
    # Hypercorn, which sees the last line only, does not.
    token = lanes.ask("POST", "/api/v1/queues/line/enqueue")["token"].encode()
    request = upgrade(b"Sec-WebSocket-Protocol: bearer", b"Sec-WebSocket-Protocol: " + token)
    answers = [head_and_rest(lanes.listen(port, request, CLOSE)())[0] for port in lanes.ports]
    assert [answer[0] for answer in answers] == ["101", "401"]
