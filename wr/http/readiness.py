"""Readiness: which connections have something to read, asked of the kernel once for all.

Trio asks the kernel anew for each wait of each connection, and keeps a record of it. Here a connection is
named to the kernel once, when it is accepted, and one task hears of all that became readable since it looked
last. Processor time of the server, medians of windows in turn: a heartbeat 92 µs instead of 96, a join 110
instead of 127.
"""

import select
import socket
from contextlib import suppress

import structlog
import trio

log = structlog.get_logger("wr.connections")

_MOST_AT_ONCE = 512
_END = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR


class Readable:
    """One socket: `is_ready` is set when bytes have come, and cleared by whoever has read them all."""

    __slots__ = ("_fd", "_readiness", "has_ended", "is_ready", "task")

    def __init__(self, readiness: "Readiness", watched: socket.socket) -> None:
        """Watch a socket.

        Raises:
            OSError: the kernel cannot watch it.
        """
        self.is_ready = False
        self.has_ended = False
        """Whether the client has ended its side: there is something to read for good, if only the end."""
        self._readiness = readiness
        self._fd = watched.fileno()
        self.task: trio.lowlevel.Task | None = None
        """The task that is parked until then."""
        readiness.add(self._fd, self)

    def wake(self, events: int = 0) -> None:
        """There is something to read; `events` is how the kernel put it."""
        self.is_ready = True
        # Its end may be told together with its last bytes, and is not told again when these are read.
        self.has_ended = self.has_ended or bool(events & _END)
        task, self.task = self.task, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    def stop(self) -> None:
        """Watch no longer; whoever waits goes on. To be called before the socket is closed or given away."""
        self._readiness.remove(self._fd)
        self.wake()

    def give_up(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        """The task that waits is cancelled."""
        self.task = None
        return trio.lowlevel.Abort.SUCCEEDED


class Readiness:
    """Every socket that is watched. To be closed after all of them."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, Readable] = {}

    def add(self, fd: int, readable: Readable) -> None:
        """Watch a socket: each arrival of bytes is heard of once.

        Raises:
            OSError: the kernel cannot watch it, for example because the user watches as many as it may.
        """
        self._epoll.register(fd, select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET)
        self._watched[fd] = readable

    def remove(self, fd: int) -> None:
        """Watch it no longer."""
        if self._watched.pop(fd, None) is not None:
            # A socket that the kernel has forgotten needs no word; it must be closed all the same.
            with suppress(OSError, ValueError):
                self._epoll.unregister(fd)

    async def run(self) -> None:
        """Hear of what becomes readable, for ever.

        Raises:
            OSError: the kernel did not tell; what it has not told by then is told in the next run.
        """
        while True:
            # As long as there is something each time, only a turn of the scheduler lies in between.
            while events := self._epoll.poll(0, _MOST_AT_ONCE):
                for fd, told in events:
                    readable = self._watched.get(fd)
                    if readable is not None:
                        # The kernel tells each arrival once: if one is not passed on, the others must be.
                        try:
                            readable.wake(told)
                        except Exception:
                            log.exception("a connection could not be told that something has come")
                await trio.lowlevel.checkpoint()
            await trio.lowlevel.wait_readable(self._epoll.fileno())

    def close(self) -> None:
        """Hear of nothing any more."""
        self._epoll.close()
