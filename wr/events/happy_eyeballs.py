"""Connecting to one of several addresses: the next is tried while the first is still silent."""

import os
from collections.abc import Sequence

import trio

from wr.events.dns_cache import Address

_HEAD_START_S = 0.25
"""As RFC 8305 advises, and Trio does."""
_MOST_TRIED = 8


class NoConnection(Exception):
    """None of the addresses could be connected to; the message says why, in words for the operator."""


async def connect(addresses: Sequence[Address]) -> trio.SocketStream:
    """Connect to these addresses and to no other; whichever answers first is taken.

    Each has a quarter of a second before the next is tried beside it, and the second is of the other family
    where there is one: a network whose IPv6 leads nowhere is silent, and would hide that IPv4 works.

    Raises:
        NoConnection: to none of them.
    """
    order = _in_turns(addresses)[:_MOST_TRIED]
    won: list[trio.SocketStream] = []
    failures: list[OSError] = []
    try:
        async with trio.open_nursery() as nursery:
            for address in order:
                has_failed = trio.Event()
                nursery.start_soon(_attempt, address, won, failures, has_failed, nursery.cancel_scope)
                with trio.move_on_after(_HEAD_START_S):
                    await has_failed.wait()
    except BaseException:
        # A nursery puts cancellations into a group, which is no `Cancelled`.
        _close(won)
        raise
    # Two may have answered in the same turn of the event loop.
    _close(won[1:])
    if won:
        return won[0]
    raise NoConnection(_reasons(failures))


async def _attempt(
    address: Address,
    won: list[trio.SocketStream],
    failures: list[OSError],
    has_failed: trio.Event,
    all_attempts: trio.CancelScope,
) -> None:
    try:
        won.append(await _open(address))
        all_attempts.cancel()
    except OSError as error:
        failures.append(error)
        has_failed.set()


def _close(streams: Sequence[trio.SocketStream]) -> None:
    for stream in streams:
        stream.socket.close()


async def _open(address: Address) -> trio.SocketStream:
    opened = trio.socket.socket(address.family, trio.socket.SOCK_STREAM)
    try:
        await opened.connect(address.place)
        return trio.SocketStream(opened)
    except BaseException:
        opened.close()
        raise


def _in_turns(addresses: Sequence[Address]) -> list[Address]:
    """Put the first address of the other family in the second place."""
    order = list(dict.fromkeys(addresses))
    for index, address in enumerate(order):
        if address.family != order[0].family:
            order.insert(1, order.pop(index))
            break
    return order


def _reasons(failures: Sequence[OSError]) -> str:
    # Trio puts the address before what the system says.
    told = dict.fromkeys(
        os.strerror(failure.errno) if failure.errno else str(failure) for failure in failures
    )
    return "; ".join(told) or "no address to call"
