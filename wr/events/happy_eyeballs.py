"""Connects to one of several addresses: if one is slow to answer, the next is tried beside it (RFC 8305)."""

import os
from collections.abc import Awaitable, Callable, Sequence

import trio

from wr.events.dns_cache import Address

_HEAD_START_S = 0.25
"""How long one address is tried alone, as RFC 8305 advises."""
_MOST_TRIED = 8
Opener = Callable[[Address], Awaitable[trio.SocketStream]]
"""Connects to one address."""


class NoConnection(Exception):
    """No address accepted a connection; the message tells the operator why."""


async def open_one(address: Address) -> trio.SocketStream:
    """Connect to one address.

    Raises:
        OSError: it does not accept.
    """
    opened = trio.socket.socket(address.family, trio.socket.SOCK_STREAM)
    try:
        await opened.connect(address.place)
        return trio.SocketStream(opened)
    except BaseException:
        opened.close()
        raise


async def connect(addresses: Sequence[Address], open_one: Opener = open_one) -> trio.SocketStream:
    """Connect to one of these addresses and to no other; the first that accepts is used.

    Each is tried alone for a quarter of a second before the next is tried beside it. The second is of the
    other family, if there is one: in a network without IPv6 routes an IPv6 address does not answer at all,
    and IPv4 has to be tried soon.

    Trio's `open_tcp_stream` does the same for a name, but cannot be given addresses that were checked before.

    Raises:
        NoConnection: none of them accepted.
    """
    order = _in_turns(addresses)[:_MOST_TRIED]
    won: list[trio.SocketStream] = []
    failures: list[OSError] = []
    try:
        async with trio.open_nursery() as nursery:
            for address in order:
                has_failed = trio.Event()
                nursery.start_soon(
                    _attempt, open_one, address, won, failures, has_failed, nursery.cancel_scope
                )
                with trio.move_on_after(_HEAD_START_S):
                    await has_failed.wait()
    except BaseException:
        # `BaseException`, because a nursery may put a cancellation into a group.
        _close(won)
        raise
    # Two may have accepted in the same turn of the event loop.
    _close(won[1:])
    if won:
        return won[0]
    raise NoConnection(_reasons(failures))


async def _attempt(
    open_one: Opener,
    address: Address,
    won: list[trio.SocketStream],
    failures: list[OSError],
    has_failed: trio.Event,
    all_attempts: trio.CancelScope,
) -> None:
    try:
        won.append(await open_one(address))
        all_attempts.cancel()
    except OSError as error:
        failures.append(error)
        has_failed.set()


def _close(streams: Sequence[trio.SocketStream]) -> None:
    for stream in streams:
        stream.socket.close()


def _in_turns(addresses: Sequence[Address]) -> list[Address]:
    """Put the first address of the other family in second place."""
    order = list(dict.fromkeys(addresses))
    for index, address in enumerate(order):
        if address.family != order[0].family:
            order.insert(1, order.pop(index))
            break
    return order


def _reasons(failures: Sequence[OSError]) -> str:
    # Trio puts the address in front of the system's message.
    told = dict.fromkeys(
        os.strerror(failure.errno) if failure.errno else str(failure) for failure in failures
    )
    return "; ".join(told) or "no address to call"
