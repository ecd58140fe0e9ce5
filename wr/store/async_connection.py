"""Connections to the store that wait on the event loop instead of in a thread.

The client library opens the connection as its URL asks (TLS, a user, a database), spells the commands and
names the errors. Only the waiting happens here. A worker thread for each batch would have to be woken, and
would wait for the interpreter twice: at best that took 4 µs of a heartbeat's 85, and 17 of a join's 114.
"""

import ssl
from collections.abc import Callable
from typing import Any

import hiredis
import redis
import trio
from redis.connection import DefaultParser

from wr.store.script import Argument

_READ_BYTES = 65_536
_NOT_YET = object()
# Its own types say that a command has one argument.
_pack: Callable[[tuple[Argument, ...]], bytes] = hiredis.pack_command  # type: ignore[assignment]
"""Spells a command; in C, because batches have hundreds of arguments."""


class AsyncConnection:
    """One connection, for one call at a time. A call that fails leaves it broken."""

    def __init__(self, connection: Any, host_socket: Any) -> None:
        self._connection = connection
        self._socket = host_socket
        self._reader = hiredis.Reader(
            protocolError=redis.exceptions.InvalidResponse,
            replyError=DefaultParser.parse_error,
            notEnoughData=_NOT_YET,
        )
        self.is_broken = False

    def is_usable(self) -> bool:
        """Whether an idle connection may be used again: not if the store has closed it, or has sent something
        that was not asked for. One system call."""
        try:
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    async def call(self, command: tuple[Argument, ...]) -> Any:
        """Send a command, and wait for its reply.

        Raises:
            redis.RedisError, OSError: as the client library raises them.
        """
        self.is_broken = True
        await self._send(_pack(command))
        reply = self._reader.gets()
        while reply is _NOT_YET:
            self._reader.feed(await self._receive())
            reply = self._reader.gets()
        self.is_broken = False
        if isinstance(reply, redis.RedisError):
            raise reply
        return reply

    def close(self) -> None:
        """Close the connection."""
        trio.lowlevel.notify_closing(self._socket)
        self._connection.disconnect()

    async def _send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                await trio.lowlevel.wait_writable(self._socket)

    async def _receive(self) -> bytes:
        while True:
            try:
                data: bytes = self._socket.recv(_READ_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError):
                await trio.lowlevel.wait_readable(self._socket)
            else:
                if not data:
                    raise redis.ConnectionError("the store closed the connection")
                return data


def open_connection(client: redis.Redis) -> AsyncConnection:
    """Open a connection as `client` would. It blocks, so call it in a thread.

    Raises:
        redis.RedisError, OSError: the store cannot be reached, or refuses the login.
    """
    pool = client.connection_pool
    connection = pool.connection_class(**pool.connection_kwargs)
    connection.connect()
    # The library has no public way to the socket of a connection. A test checks that this one still works.
    host_socket = connection._get_socket()
    host_socket.setblocking(False)
    return AsyncConnection(connection, host_socket)
