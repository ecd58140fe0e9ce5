"""An HTTP/2 client frame by frame: sends what no library sends, and reads only when a test wants it."""

import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import hpack
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
ENHANCE_YOUR_CALM = 11
REFUSED_STREAM = 7
INITIAL_WINDOW_SIZE = SettingsFrame.INITIAL_WINDOW_SIZE
MAX_CONCURRENT_STREAMS = SettingsFrame.MAX_CONCURRENT_STREAMS
_PATIENCE_S = 20.0


class Http2Client:
    """One connection. It acknowledges nothing by itself."""

    def __init__(self, client: socket.socket) -> None:
        self.socket = client
        self._encoder = hpack.Encoder()
        self._decoder = hpack.Decoder()
        self._received = b""
        self._fields: dict[str, str] = {}
        self.has_ended = False

    def begin(self, settings: dict[int, int] | None = None) -> None:
        """Send the preface and the client's settings."""
        table_bytes = (settings or {}).get(SettingsFrame.HEADER_TABLE_SIZE, 4096)
        self._decoder.max_allowed_table_size = table_bytes
        self.socket.sendall(PREFACE + SettingsFrame(0, settings=settings or {}).serialize())

    def send(self, *frames: Frame) -> None:
        """Send frames. A connection that the server has closed is not an error."""
        self.send_bytes(b"".join(frame.serialize() for frame in frames))

    def send_bytes(self, data: bytes) -> None:
        """Send bytes. A connection that the server has closed is not an error."""
        try:
            self.socket.sendall(data)
        except OSError:
            self.has_ended = True

    def headers(
        self, stream_id: int, path: str, *more: tuple[str, str], method: str = "GET", ends: bool = True
    ) -> HeadersFrame:
        """Encode the headers of a request."""
        fields = [(":method", method), (":scheme", "http"), (":authority", "wr"), (":path", path), *more]
        flags = ["END_HEADERS", *(["END_STREAM"] if ends else [])]
        return HeadersFrame(stream_id, self._encoder.encode(fields), flags=flags)

    def frames(self, seconds: float = _PATIENCE_S) -> Iterator[Any]:
        """Read frames until the server closes.

        Raises:
            AssertionError: the server does not close within `seconds`.
        """
        deadline = time.monotonic() + seconds
        while True:
            while (frame := self._next_frame()) is not None:
                yield frame
            self.socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data = self.socket.recv(65_536)
            except TimeoutError:
                raise AssertionError(f"the connection is still open after {seconds} s") from None
            except ConnectionResetError:
                data = b""
            if not data:
                self.has_ended = True
                return
            self._received += data

    def ask(
        self, stream_id: int, path: str, *more: tuple[str, str], method: str = "GET", body: bytes = b""
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request and read its answer."""
        self.send(self.headers(stream_id, path, *more, method=method, ends=not body))
        if body:
            self.send(DataFrame(stream_id, body, flags=["END_STREAM"]))
        return self.answer(stream_id)

    def answer(self, stream_id: int) -> tuple[int, dict[str, str], bytes]:
        """Read until the answer on this stream is complete."""
        head: dict[str, str] = {}
        body = b""
        for frame in self.frames():
            if frame.stream_id == stream_id:
                assert not isinstance(frame, RstStreamFrame), frame
                head = dict(self._fields) if isinstance(frame, HeadersFrame) else head
                body += frame.data if isinstance(frame, DataFrame) else b""
                if "END_STREAM" in frame.flags:
                    return int(head.pop(":status")), head, body
        raise AssertionError(f"the connection ended before the answer: {head} {body!r}")

    def is_answered(self, ping: bytes = b"are you?") -> bool:
        """Whether the server still answers a ping."""
        self.send(PingFrame(0, ping))
        return any(isinstance(frame, PingFrame) and frame.opaque_data == ping for frame in self.frames())

    def last_error(self, seconds: float = _PATIENCE_S) -> int | None:
        """Read until the server closes; returns the error that its GOAWAY names, if it sent one."""
        error = None
        for frame in self.frames(seconds):
            if isinstance(frame, GoAwayFrame):
                error = frame.error_code
        return error

    def _next_frame(self) -> Any:
        if len(self._received) < 9:
            return None
        frame, length = Frame.parse_frame_header(memoryview(self._received[:9]))
        if len(self._received) < 9 + length:
            return None
        frame.parse_body(memoryview(self._received[9 : 9 + length]))
        self._received = self._received[9 + length :]
        if isinstance(frame, HeadersFrame):
            # All headers must be decoded in order, because they build one table.
            self._fields = {str(name): str(value) for name, value in self._decoder.decode(frame.data)}
        return frame


@contextmanager
def http2(
    address: tuple[str, int],
    settings: dict[int, int] | None = None,
    trust: ssl.SSLContext | None = None,
) -> Iterator[Http2Client]:
    """Connect and send the preface; over TLS if `trust` is given."""
    with contextlib.ExitStack() as places:
        plain = places.enter_context(socket.create_connection(address, timeout=_PATIENCE_S))
        if trust is not None:
            plain = places.enter_context(trust.wrap_socket(plain, server_hostname=address[0]))
        client = Http2Client(plain)
        client.begin(settings)
        yield client


def raw_frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Encode a frame of any kind, valid or not."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream_id) + payload
