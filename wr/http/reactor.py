"""The reactor: reads all connections of the fast lane in one task, because a task for each would cost more.

Trio registers a socket with the kernel for each wait, and wakes a task for each event. Here a connection is
registered once, when it is accepted, and an edge-triggered epoll object reports the bytes of all connections
to one task. That task calls the owner of each connection that became readable, in plain code: nothing is
awaited until all of them have been read. A connection at rest has no task. One whose work has to wait gets a
task for that time, and then the event wakes this task instead of its owner.
"""

import os
import select
import socket
from contextlib import suppress
from typing import Protocol

import structlog
import trio

from wr.supervision.connections import end_for_error

log = structlog.get_logger("wr.connections")

_MOST_AT_ONCE = 512
_END = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR


class Owner(Protocol):
    """What reads a connection in the task of the reactor."""

    def on_readable(self) -> None:
        """Read what has arrived. Whatever it raises closes the connection."""
        ...

    def on_closed(self) -> None:
        """Note that the connection is closed. Raises nothing."""
        ...

    def close(self) -> None:
        """Close the connection at once. Raises nothing."""
        ...


class Readable:
    """One socket. `is_ready` is set when bytes arrive. The reader clears it when it has read them all."""

    __slots__ = ("_fd", "_reactor", "has_ended", "is_queued", "is_ready", "owner", "task")

    def __init__(self, reactor: "Reactor", watched: socket.socket) -> None:
        """Register a socket.

        Raises:
            OSError: the kernel cannot watch it.
        """
        self.is_ready = False
        self.has_ended = False
        """Whether the client has ended its side. From then on a read always returns at once."""
        self.is_queued = False
        """Whether the owner is called again in the next turn."""
        self._reactor = reactor
        self._fd = watched.fileno()
        self.task: trio.lowlevel.Task | None = None
        """The task that waits until the socket is readable."""
        self.owner: Owner | None = None
        """What reads the socket while no task waits."""
        reactor.add(self._fd, self)

    def wake(self, events: int = 0) -> None:
        """Mark the socket as readable, and resume the task that waits, or call the owner. `events` are the
        flags of epoll."""
        self.is_ready = True
        # The kernel may report the end together with the last bytes, and does not report it again.
        if events & _END:
            self.has_ended = True
        task = self.task
        if task is not None:
            self.task = None
            trio.lowlevel.reschedule(task)
        elif self.owner is not None:
            self.owner.on_readable()

    def look_again(self) -> None:
        """Have the reactor call the owner in its next turn, after all other connections."""
        self._reactor.look_again(self)

    def stop(self) -> None:
        """Unregister the socket and resume the task that waits. Call it before the socket is closed or handed
        over."""
        self._reactor.remove(self._fd)
        self.is_ready = True
        # The reactor may hold this object until its next turn, and must not hold the connection with it.
        self.owner = None
        task, self.task = self.task, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    def give_up(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        """Forget the waiting task, which was cancelled. Trio calls it."""
        self.task = None
        return trio.lowlevel.Abort.SUCCEEDED


class Reactor:
    """All registered sockets. Close it after all of them."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, Readable] = {}
        self._again: list[Readable] = []
        # Becomes readable when a connection is to be looked at again while the reactor waits.
        self._alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._alarm, select.EPOLLIN)
        self._is_waiting = False

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

    def look_again(self, readable: Readable) -> None:
        """Call the owner of a socket in the next turn, although the kernel reports nothing new.

        Once a turn at the most, so that a client that sends many requests at once gains nothing.
        """
        if readable.is_queued:
            return
        readable.is_queued = True
        self._again.append(readable)
        if self._is_waiting:
            self._is_waiting = False
            os.eventfd_write(self._alarm, 1)

    async def run(self) -> None:
        """Read the sockets that become readable, for ever.

        Raises:
            OSError: epoll failed. Events that were not reported yet are reported when it runs again.
        """
        while True:
            # While events arrive, other tasks run once between two polls: the batches, among others, which
            # send what the requests of this turn ask the store.
            while (events := self._epoll.poll(0, _MOST_AT_ONCE)) or self._again:
                again, self._again = self._again, []
                for fd, flags in events:
                    readable = self._watched.get(fd)
                    if readable is not None:
                        _wake(readable, flags)
                    elif fd == self._alarm:
                        os.eventfd_read(self._alarm)
                for readable in again:
                    readable.is_queued = False
                    _wake(readable, 0)
                await trio.lowlevel.checkpoint()
            self._is_waiting = True
            try:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
            finally:
                self._is_waiting = False

    def close(self) -> None:
        """Close the epoll object."""
        self._epoll.close()
        os.close(self._alarm)


def _wake(readable: Readable, flags: int) -> None:
    """Wake one socket. The kernel reports each event only once, so an error must not lose the others."""
    owner = readable.owner
    try:
        readable.wake(flags)
    except Exception as error:  # noqa: BLE001 - it is logged, and ends this connection alone
        end_for_error("reading a connection", error, readable.stop if owner is None else owner.close)
