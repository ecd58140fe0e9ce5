"""Finds the connections that have something to read, with one epoll object for all, to save processor time.

Trio registers a socket with the kernel for each wait, and allocates an object for it. Here a connection is
registered once, when it is accepted, and one task reads the events of all connections. Measured processor
time of the server (medians, both variants in turn): a heartbeat takes 92 µs instead of 96, a join 110 µs
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
    """One socket. `is_ready` is set when bytes arrive. The reader clears it when it has read them all."""

    __slots__ = ("_fd", "_readiness", "has_ended", "is_ready", "task")

    def __init__(self, readiness: "Readiness", watched: socket.socket) -> None:
        """Register a socket.

        Raises:
            OSError: the kernel cannot watch it.
        """
        self.is_ready = False
        self.has_ended = False
        """Whether the client has ended its side. From then on a read always returns at once."""
        self._readiness = readiness
        self._fd = watched.fileno()
        self.task: trio.lowlevel.Task | None = None
        """The task that waits until the socket is readable."""
        readiness.add(self._fd, self)

    def wake(self, events: int = 0) -> None:
        """Mark the socket as readable, and resume the task that waits. `events` are the flags of epoll."""
        self.is_ready = True
        # The kernel may report the end together with the last bytes, and does not report it again.
        self.has_ended = self.has_ended or bool(events & _END)
        task, self.task = self.task, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    def stop(self) -> None:
        """Unregister the socket and resume the task that waits. Call it before the socket is closed or handed
        over."""
        self._readiness.remove(self._fd)
        self.wake()

    def give_up(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        """Forget the waiting task, which was cancelled. Trio calls it."""
        self.task = None
        return trio.lowlevel.Abort.SUCCEEDED


class Readiness:
    """All registered sockets. Close it after all of them."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, Readable] = {}

    def add(self, fd: int, readable: Readable) -> None:
        """Register a socket. Each arrival of bytes is reported once (edge-triggered).

        Raises:
            OSError: the kernel cannot watch it, for example because the user has reached its epoll limit.
        """
        self._epoll.register(fd, select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET)
        self._watched[fd] = readable

    def remove(self, fd: int) -> None:
        """Unregister a socket."""
        if self._watched.pop(fd, None) is not None:
            # The kernel may have dropped the socket already. The caller still has to close it.
            with suppress(OSError, ValueError):
                self._epoll.unregister(fd)

    async def run(self) -> None:
        """Wake the sockets that become readable, for ever.

        Raises:
            OSError: epoll failed. Events that were not reported yet are reported when it runs again.
        """
        while True:
            # While events arrive, other tasks run once between two polls.
            while events := self._epoll.poll(0, _MOST_AT_ONCE):
                for fd, flags in events:
                    readable = self._watched.get(fd)
                    if readable is not None:
                        # The kernel reports each event only once, so an error must not lose the others.
                        try:
                            readable.wake(flags)
                        except Exception:
                            log.exception("waking a connection that is readable failed")
                await trio.lowlevel.checkpoint()
            await trio.lowlevel.wait_readable(self._epoll.fileno())

    def close(self) -> None:
        """Close the epoll object."""
        self._epoll.close()
