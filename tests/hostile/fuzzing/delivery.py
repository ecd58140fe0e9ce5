"""How a client sends a case, politely or not, and what it makes of the answer."""

import contextlib
import re
import socket
import struct
from collections.abc import Mapping
from random import Random

import trio
from hpack import Decoder
from hpack.exceptions import HPACKError

from tests.hostile.fuzzing.corpus import PREFACE, filled
from tests.hostile.fuzzing.mutations import Case

LONGEST_CASE_S = 1.5
"""After this a connection is given up: the server may wait for the rest of a request, the fuzzer does not."""
LONGEST_DEAF_S = 3.0
"""So long a client that does not read sends: the kernel's buffers must be full before the server notices."""
_SILENCE_S = 0.08
"""An answer on this machine takes a few milliseconds; what comes later is overlooked."""
_ANSWER_S = 1.0
_DEAF_BYTES = 16 * 1024 * 1024
"""What a client that does not read sends at most. The kernel's buffers take some of it."""
_DEAF_BUFFER = 4096
_MOST_READ = 4 * 1024 * 1024
_GONE = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)
_STATUS = re.compile(rb"HTTP/1\.[01] (5\d\d) [^\r\n]*\r\n.*?\r\n\r\n(.{0,400})", re.DOTALL)
_DOCUMENTED_503 = (b'"QUEUE_FULL"', b'"MAINTENANCE_MODE"', b'"SERVICE_UNAVAILABLE"')
_HTTP2_HEADERS = 1


async def deliver(case: Case, address: tuple[str, int], facts: Mapping[str, str]) -> bytes:
    """Send a case and read what comes of it; returns that, or nothing where the client does not read.

    Takes three seconds at most. Whatever the server does to the connection is taken as its answer.
    """
    received = bytearray()
    with trio.move_on_after(LONGEST_DEAF_S if case.manner == "deaf" else LONGEST_CASE_S):
        try:
            stream = await _connected(address, is_deaf=case.manner == "deaf")
        except OSError:
            return b""  # That nobody listens any more is for the watch to see.
        try:
            if case.opening:
                await stream.send_all(filled(case.opening, facts))
                if not await _heard_head(stream, received):
                    return bytes(received)
            await _send(stream, filled(case.stream, facts), case, received)
        except _GONE:
            pass
        finally:
            _close(stream)
    return bytes(received)


async def _connected(address: tuple[str, int], *, is_deaf: bool) -> trio.SocketStream:
    client = trio.socket.socket()
    try:
        if is_deaf:
            # Before it connects: the window that the server is told of cannot be taken back.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _DEAF_BUFFER)
        await client.connect(address)
    except BaseException:
        client.close()
        raise
    return trio.SocketStream(client)


def _close(stream: trio.SocketStream) -> None:
    stream.socket.close()


async def _heard_head(stream: trio.SocketStream, received: bytearray) -> bool:
    with trio.move_on_after(_ANSWER_S):
        while b"\r\n\r\n" not in received:
            data = await stream.receive_some()
            if not data:
                return False
            received += data
        return True
    return False


async def _send(stream: trio.SocketStream, data: bytes, case: Case, received: bytearray) -> None:
    # How it is cut depends on the case alone, so that it is cut alike when it is sent again.
    random = Random(case.name)
    match case.manner:
        case "deaf":
            await _flood(stream, data)
        case "hang up":
            await stream.send_all(data)
        case "reset":
            await stream.send_all(data)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        case "half":
            await stream.send_all(data[: len(data) // 2])
            await _read(stream, received)
        case "pieces" | "drip":
            longest = 7 if case.manner == "drip" else 2000
            pause_s = 0.003 if case.manner == "drip" else 0.0
            await _send_pieces(stream, data, random, longest, pause_s)
            await _read(stream, received)
        case "end":
            await stream.send_all(data)
            await stream.send_eof()
            await _read(stream, received)
        case _:
            await _send_and_read(stream, data, received)


async def _send_and_read(stream: trio.SocketStream, data: bytes, received: bytearray) -> None:
    """Read while sending: a server that is not read from need not read either."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_read_for_ever, stream, received)
        with contextlib.suppress(*_GONE):
            await stream.send_all(data)
        heard = -1
        while heard != len(received):
            heard = len(received)
            await trio.sleep(_SILENCE_S)
        nursery.cancel_scope.cancel()


async def _read_for_ever(stream: trio.SocketStream, received: bytearray) -> None:
    with contextlib.suppress(*_GONE):
        while data := await stream.receive_some():
            if len(received) < _MOST_READ:
                received += data


async def _read(stream: trio.SocketStream, received: bytearray) -> None:
    while len(received) < _MOST_READ:
        with trio.move_on_after(_SILENCE_S) as silence:
            data = await stream.receive_some()
        if silence.cancelled_caught or not data:
            return
        received += data


async def _send_pieces(
    stream: trio.SocketStream, data: bytes, random: Random, longest: int, pause_s: float
) -> None:
    start, pieces = 0, 0
    while start < len(data):
        # A long one is dripped at its beginning only, where a head is, or a frame's.
        size = random.randint(1, longest) if pieces < 100 else len(data)
        await stream.send_all(data[start : start + size])
        await trio.sleep(pause_s)
        start, pieces = start + size, pieces + 1


async def _flood(stream: trio.SocketStream, data: bytes) -> None:
    """Send and never read; once all that is wanted is sent, stay until the time is over."""
    if data.startswith(PREFACE):
        await stream.send_all(data)
        data = b""
    for _ in range(_DEAF_BYTES // len(data) if data else 0):
        await stream.send_all(data)
    await trio.sleep_forever()


def fault_in(answer: bytes) -> str:
    """Say which answer is a fault of the server's: any 5xx but a documented 503, and 501, which a transfer
    coding that is none takes by RFC 9112. The empty text if there is none."""
    for found in _STATUS.finditer(answer):
        status, body = found[1], found[2]
        is_documented = status == b"503" and any(code in body for code in _DOCUMENTED_503)
        if status != b"501" and not is_documented:
            return f"{status.decode()}: {body[:200]!r}"
    return _fault_in_frames(answer)


def _fault_in_frames(answer: bytes) -> str:
    decoder, place = Decoder(), 0
    if answer[3:9] != b"\x04\x00\x00\x00\x00\x00":
        return ""  # A server's HTTP/2 begins with its settings.
    while place + 9 <= len(answer):
        length, kind, flags = int.from_bytes(answer[place : place + 3]), answer[place + 3], answer[place + 4]
        payload = answer[place + 9 : place + 9 + length]
        place += 9 + length
        if kind != _HTTP2_HEADERS or flags & 0x28 or len(payload) < length:
            continue
        try:
            fields = dict(decoder.decode(payload, raw=True))
        except HPACKError:
            return ""
        status = fields.get(b":status", b"")
        if status.startswith(b"5") and status not in (b"501", b"503"):
            return f"{status.decode()} over HTTP/2"
    return ""
