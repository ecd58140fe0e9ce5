"""A WebSocket client byte by byte: sends what no library sends, and need not read."""

import socket
from urllib.parse import quote

from tests.support.processes import ServerProcess
from tests.support.site import BASE

MASK = b"\x01\x02\x03\x04"
TEXT, CONTINUATION, PING, PONG = 0x1, 0x0, 0x9, 0xA


def frame(opcode: int, payload: bytes = b"", *, is_final: bool = True) -> bytes:
    """Encode a client's frame; `payload` has at most 125 bytes."""
    masked = bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))
    return bytes([is_final << 7 | opcode, 0x80 | len(payload)]) + MASK + masked


def websocket_head(queue_id: str, token: str, address: str = "") -> bytes:
    """Encode the request that opens a WebSocket; `address` is the client in X-Forwarded-For."""
    forwarded = f"X-Forwarded-For: {address}\r\n" if address else ""
    return (
        f"GET /ws/queues/{queue_id}?access_token={quote(token)} HTTP/1.1\r\nHost: wr\r\n{forwarded}"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()


def events_head(queue_id: str, token: str, address: str = "") -> bytes:
    """Encode the request that opens server-sent events."""
    forwarded = f"X-Forwarded-For: {address}\r\n" if address else ""
    return (
        f"GET {BASE}/queues/{queue_id}/events?access_token={quote(token)} HTTP/1.1\r\nHost: wr\r\n"
        f"{forwarded}\r\n"
    ).encode()


def opened(server: ServerProcess, head: bytes, *, receive_buffer: int = 0) -> socket.socket:
    """Connect, send a request, and return the connection once the server has started to answer."""
    client = socket.socket()
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.settimeout(20)
    client.connect(server.address)
    client.sendall(head)
    assert client.recv(1, socket.MSG_PEEK)
    return client


def everything_from(client: socket.socket) -> bytes:
    """Read until the server closes or resets the connection."""
    received = b""
    try:
        while data := client.recv(65_536):
            received += data
    except ConnectionResetError:
        pass
    return received
