"""What is sound, or nearly: the requests, frames and handshakes from which others are made by mutation.

What is only known once a server runs stands in braces, as `{token}`, so that one seed makes the same case
of every run.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hpack import Encoder

from tests.support.byte_streams import EVERYTHING, FORM, get, post, upgrade
from wr.api.http_messages import WEBSOCKET
from wr.api.route import ANY, AnyRoute, Auth
from wr.api.routes import ROUTES

TARGETS = ("http", "websocket", "http2")
QUEUE = "line"
ADDRESS = b"X-Forwarded-For: 198.51.100.7"

_KEY = b"X-Admin-Key: {key}"
_CREDENTIALS = {
    Auth.MAY_HAVE_POSITION: (b"Authorization: Bearer {token}",),
    Auth.POSITION: (b"Authorization: Bearer {token}",),
    Auth.SESSION: (b"Authorization: Bearer {session_token}",),
    Auth.ORIGIN: (_KEY,),
    Auth.ADMIN: (_KEY,),
}
# Deeds of an operator that would change what the others are tried on: these come without the key.
_WITHOUT_KEY = {"create_queue", "update_queue", "delete_queue", "flush_queue", "rotate_keys", "add_webhook"}
_BODIES = {
    "enqueue": b'{"priority":1,"metadata":{"user_id":"user-123","vip":true,"n":1.5}}',
    "heartbeat": b'{"timestamp":1704067260000,"client_id":"browser"}',
    "session_activity": b'{"action":"page_view","page":"/checkout","timestamp":1704067260000}',
    "session_command": b'{"command":"extend","seconds":600}',
    "join_concert": b'{"userId":1,"concertId":1}',
    "create_queue": b'{"id":"made","target_url":"https://shop.example/","admission_rate":10}',
    "terminate_session": b'{"reason":"abuse_detected"}',
}
_QUERIES = {
    "concert_status": b"?userId=1&concertId=1",
    "concert_feed": b"?userId=1&concertId=1",
    "queue_history": b"?span=24h",
    "audit": b"?queue_id=line&limit=50&before=1-1",
    "wait": b"?lang=de&return=%2Fcheckout",
}
_LARGE_FILE = "/wr-assets/swagger-ui-bundle.js"
_FEED = "/api/v1/waiting-queue/subscribe?userId=1&concertId=1"
"""A stream that takes no token: what stands in braces would change the length of a head of HTTP/2."""


@dataclass(frozen=True)
class Sample:
    """One sound conversation: what is sent first and answered, and the parts that follow it."""

    name: str
    parts: tuple[bytes, ...]
    opening: bytes = b""
    """A handshake, whose answer is waited for; empty where there is none."""


def corpus(target: str) -> Sequence[Sample]:
    """List the samples of a target: `http`, `websocket` or `http2`."""
    return {"http": _http, "websocket": _websocket, "http2": _http2}[target]()


def filled(stream: bytes, facts: Mapping[str, str]) -> bytes:
    """Put what is known of a running server where its name stands in braces."""
    for name, value in facts.items():
        stream = stream.replace(b"{%b}" % name.encode(), value.encode())
    return stream


def _http() -> list[Sample]:
    samples = [Sample(f"{route.method} {route.path}", (_request(route),)) for route in ROUTES]
    samples += [Sample(name, (stream,)) for name, stream in EVERYTHING.items()]
    samples.append(Sample("a large file", (get(_LARGE_FILE.encode()),)))
    return samples


def _request(route: AnyRoute) -> bytes:
    target = _path(route).encode() + _QUERIES.get(route.name, b"")
    if route.method == WEBSOCKET:
        return upgrade(*_credentials(route), ADDRESS, target=target)
    method = b"GET" if route.method == ANY else route.method.encode()
    lines = (*_credentials(route), ADDRESS)
    if route.body is None:
        return get(target, *lines, method=method)
    body = _BODIES.get(route.name, b"{}")
    return post(body, *lines, b"Content-Type: application/json", target=target).replace(b"POST", method, 1)


def _credentials(route: AnyRoute) -> tuple[bytes, ...]:
    return () if route.name in _WITHOUT_KEY else _CREDENTIALS.get(route.auth, ())


def _path(route: AnyRoute) -> str:
    named = route.path.replace("{queue_id}", QUEUE).replace("{rest*}", "a/b").replace("{name}", "admin.js")
    return named.replace("{webhook_id}", "0").replace("{dead_letter_id}", "0-0.0")


def frame(
    opcode: int, payload: bytes = b"", *, first: int = 0x80, mask: bytes = b"\x01\x02\x03\x04"
) -> bytes:
    """Spell a WebSocket frame of a client; `first` holds the bits that say whether it is final."""
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload)) if mask else payload
    bit = 0x80 if mask else 0
    if len(payload) < 126:
        length = bytes([bit | len(payload)])
    elif len(payload) < 65_536:
        length = bytes([bit | 126]) + struct.pack(">H", len(payload))
    else:
        length = bytes([bit | 127]) + struct.pack(">Q", len(payload))
    return bytes([first | opcode]) + length + mask + masked


_BEAT = b'{"type":"heartbeat","data":{"timestamp":1704067260000,"client_id":"browser"}}'
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10
_FRAMES: dict[str, tuple[bytes, ...]] = {
    "a heartbeat": (frame(_TEXT, _BEAT),),
    "heartbeats": (frame(_TEXT, _BEAT),) * 20,
    "a heartbeat in parts": (
        frame(_TEXT, _BEAT[:9], first=0),
        frame(0, _BEAT[9:20], first=0),
        frame(0, _BEAT[20:]),
    ),
    "a ping between two parts": (frame(_TEXT, _BEAT[:9], first=0), frame(_PING, b"a"), frame(0, _BEAT[9:])),
    "pings": (frame(_PING, b"x" * 125),) * 40,
    "small pings": (frame(_PING),) * 200,
    "pongs": (frame(_PONG, b"x" * 125),) * 40,
    "a close": (frame(_CLOSE, b"\x03\xe8bye"),),
    "a close and more": (frame(_CLOSE, b"\x03\xe8"), frame(_TEXT, _BEAT), frame(_PING)),
    "a close with a code that is none": (frame(_CLOSE, b"\xff\xff" + b"\xfe" * 20),),
    "a close of one byte": (frame(_CLOSE, b"\x03"),),
    "binary": (frame(_BINARY, bytes(range(256))),),
    "a long text": (frame(_TEXT, b'"' + b"a" * 60_000 + b'"'),),
    "a very long text": (frame(_TEXT, b" " * 70_000),),
    "parts without end": (frame(_TEXT, b"a", first=0), *(frame(0, b"a" * 120, first=0),) * 200),
    "text that is no UTF-8": (frame(_TEXT, b"\xff\xfe"),),
    "JSON that is nested": (frame(_TEXT, b"[" * 100 + b"]" * 100),),
    "a frame without a mask": (frame(_TEXT, _BEAT, mask=b""),),
    "a ping that is too long": (frame(_PING, b"x" * 126),),
    "a reserved opcode": (frame(3, b"abc"), frame(11, b"abc")),
    "reserved bits": (frame(_TEXT, _BEAT, first=0xF0),),
    "a length of 2^63": (b"\x81\xff" + b"\xff" * 8 + b"\x01\x02\x03\x04abc",),
    "a length that is told too long": (b"\x81\xfe\x00\x03\x01\x02\x03\x04abc",),
    "a continuation of nothing": (frame(0, b"abc"),),
}


def _websocket() -> list[Sample]:
    bearer = b"Authorization: Bearer {token}"
    openings = {
        "": upgrade(bearer, ADDRESS),
        " with a token in the query": upgrade(target=b"/ws/queues/line?access_token={token}"),
        " with an offer to compress": upgrade(
            bearer, b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
        ),
        " on the general lane": upgrade(bearer, b"Connection: keep-alive"),
    }
    return [
        Sample(name + how, parts, opening)
        for how, opening in openings.items()
        for name, parts in _FRAMES.items()
    ]


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _PRIORITY, _RESET, _SETTINGS, _PUSH, _H2_PING, _GOAWAY, _WINDOW, _CONTINUED = range(10)
_END_STREAM, _END_HEADERS, _PADDED = 1, 4, 8
_WINDOW_SIZE, _TABLE_SIZE, _FRAME_SIZE = 4, 1, 5


def http2_frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Spell a frame of HTTP/2."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _setting(identifier: int, value: int) -> bytes:
    return http2_frame(_SETTINGS, 0, 0, struct.pack(">HI", identifier, value))


def _head(
    stream: int,
    path: str,
    *lines: tuple[str, str],
    method: str = "GET",
    flags: int = _END_STREAM | _END_HEADERS,
) -> bytes:
    fields = [(":method", method), (":scheme", "http"), (":authority", "wr"), (":path", path), *lines]
    return http2_frame(_HEADERS, flags, stream, _encoded(fields))


def _encoded(fields: Sequence[tuple[str, str]]) -> bytes:
    # Spelled out, without Huffman's code: a flipped bit changes a letter and not all that follows.
    return bytes(Encoder().encode(fields, huffman=False))


def _http2() -> list[Sample]:
    hello = PREFACE + http2_frame(_SETTINGS, 0, 0)
    no_window = PREFACE + _setting(_WINDOW_SIZE, 0)
    health = _head(1, "/health")
    join = f"/api/v1/queues/{QUEUE}/enqueue"
    odd_heads = {
        "no path": [(":method", "GET"), (":scheme", "http"), (":authority", "wr")],
        "two paths": [(":method", "GET"), (":scheme", "http"), (":path", "/a"), (":path", "/b")],
        "an empty path": [(":method", "GET"), (":scheme", "http"), (":authority", "wr"), (":path", "")],
        "a path that is none": [
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "wr"),
            (":path", "*"),
        ],
        "a name in capitals": [(":method", "GET"), (":scheme", "http"), (":path", "/health"), ("X-A", "a")],
        "a connection header": [
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            ("connection", "close"),
        ],
        "a status": [(":status", "200")],
        "many headers": [(":method", "GET"), (":scheme", "http"), (":path", "/health")]
        + [(f"x-{number}", "a" * 50) for number in range(300)],
        "a value with a line feed": [
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            ("x-a", "a\r\nb: c"),
        ],
        "a length that is none": [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", join),
            ("content-length", "x"),
        ],
        "a WebSocket": [
            *((":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "wr")),
            *((":path", "/ws/queues/line"), ("sec-websocket-version", "13")),
        ],
        "CONNECT": [(":method", "CONNECT"), (":authority", "wr:80")],
    }
    return [
        Sample("one request", (hello, health)),
        Sample("many requests", (hello, *(_head(number, "/health") for number in range(1, 60, 2)))),
        Sample(
            "a join",
            (
                hello,
                _head(1, join, ("content-type", "application/json"), method="POST", flags=_END_HEADERS),
                http2_frame(_DATA, _END_STREAM, 1, FORM),
            ),
        ),
        Sample(
            "a body that never ends",
            (
                hello,
                _head(1, join, method="POST", flags=_END_HEADERS),
                *(http2_frame(_DATA, 0, 1, b" " * 1000) for _ in range(40)),
            ),
        ),
        Sample("padding", (hello, http2_frame(_HEADERS, 13, 1, b"\xff" + health[9:]))),
        Sample("streams of events", (hello, *(_head(number, _FEED) for number in range(1, 40, 2)))),
        Sample("a large file", (hello, _head(1, _LARGE_FILE))),
        Sample(
            "large files and no window", (no_window, *(_head(each, _LARGE_FILE) for each in range(1, 200, 2)))
        ),
        Sample(
            "large files and a small window",
            (hello, *(_head(each, _LARGE_FILE) for each in range(1, 200, 2))),
        ),
        Sample(
            "requests that are taken back",
            (
                hello,
                *(
                    _head(each, "/health") + http2_frame(_RESET, 0, each, bytes(4))
                    for each in range(1, 200, 2)
                ),
            ),
        ),
        Sample("pings", (hello, *(http2_frame(_H2_PING, 0, 0, b"x" * 8),) * 500)),
        Sample("settings", (hello, *(_setting(_FRAME_SIZE, 16_384),) * 300)),
        Sample("a table of 4 GB", (PREFACE, _setting(_TABLE_SIZE, 2**32 - 1), health)),
        Sample(
            "a window that is too large",
            (hello, health, *(http2_frame(_WINDOW, 0, 0, b"\x7f\xff\xff\xff"),) * 3),
        ),
        Sample("a window of nothing", (hello, health, http2_frame(_WINDOW, 0, 1, bytes(4)))),
        Sample(
            "a stream that waits for itself", (hello, http2_frame(_PRIORITY, 0, 1, b"\0\0\0\x01\xff"), health)
        ),
        Sample(
            "a head without end",
            (
                hello,
                http2_frame(_HEADERS, 0, 1, health[9:]),
                *(http2_frame(_CONTINUED, 0, 1, _encoded([(f"x-{n}", "a" * 90)])) for n in range(200)),
            ),
        ),
        Sample(
            "a head that is broken off",
            (hello, http2_frame(_HEADERS, 0, 1, health[9:]), http2_frame(_H2_PING, 0, 0, bytes(8))),
        ),
        Sample("a push", (hello, http2_frame(_PUSH, _END_HEADERS, 1, b"\0\0\0\x02" + health[9:]))),
        Sample(
            "a good-bye", (hello, health, http2_frame(_GOAWAY, 0, 0, bytes(8) + b"bye"), _head(3, "/health"))
        ),
        Sample("data of no stream", (hello, http2_frame(_DATA, 0, 0, b"a"), http2_frame(_DATA, 0, 7, b"a"))),
        Sample("an even stream", (hello, _head(2, "/health"))),
        Sample("a stream again", (hello, health, health)),
        Sample("a frame that is too long", (hello, http2_frame(_DATA, 0, 1, b"a" * 20_000))),
        Sample("a frame of no kind", (hello, http2_frame(200, 255, 1, b"abc"), health)),
        Sample("a table index that is none", (hello, http2_frame(_HEADERS, 5, 1, b"\xff\xff\xff\xff\x0f"))),
        Sample("the preface alone", (PREFACE,)),
        Sample("the preface twice", (hello, PREFACE, health)),
        *(
            Sample(name, (hello, http2_frame(_HEADERS, _END_STREAM | _END_HEADERS, 1, _encoded(fields))))
            for name, fields in odd_heads.items()
        ),
    ]
