"""Transports on real sockets: after `close`, and while a client goes, they raise only `ClientGone`."""

import socket
from collections.abc import Awaitable

import pytest
import trio
import trio.testing

from tests.support.socket_pairs import Client, Wire, running_wire
from wr.http.transports import PlainTransport, Transport
from wr.supervision.client_gone import ClientGone

MUCH = b"x" * 1_000_000


async def connected(wire: Wire, kind: str) -> tuple[Transport, Client]:
    return wire.connection() if kind == "plain" else await wire.tls_connection()


KINDS = pytest.mark.parametrize("kind", ["plain", "tls"])


@KINDS
async def test_a_closed_transport_raises_gone_and_nothing_else(kind: str) -> None:
    async with running_wire() as wire:
        transport, _ = await connected(wire, kind)
        transport.close()
        with pytest.raises(ClientGone):
            await transport.send(b"x")
        with pytest.raises(ClientGone):
            await transport.receive()
        transport.send_now(b"x")
        transport.end_sending()
        transport.stop_receiving()
        transport.close()
        if isinstance(transport, PlainTransport):
            with pytest.raises(ClientGone):
                transport.stream()


@KINDS
async def test_who_waits_to_send_or_receive_learns_that_the_transport_was_closed(kind: str) -> None:
    ended: list[str] = []

    async def until_gone(wait: Awaitable[object], what: str) -> None:
        with pytest.raises(ClientGone):
            await wait
        ended.append(what)

    async with running_wire() as wire:
        transport, _ = await connected(wire, kind)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(until_gone, transport.send(MUCH), "send")
            nursery.start_soon(until_gone, transport.receive(), "receive")
            await trio.testing.wait_all_tasks_blocked()
            assert ended == []
            transport.close()
    assert sorted(ended) == ["receive", "send"]


@KINDS
async def test_a_transport_that_was_closed_while_some_of_it_was_sent_raises_gone(kind: str) -> None:
    """The task that sends has been told that it may go on, and has not done so yet."""
    async with running_wire() as wire:
        transport, client = await connected(wire, kind)

        async def send() -> None:
            with pytest.raises(ClientGone):
                await transport.send(MUCH)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await trio.testing.wait_all_tasks_blocked()
            assert client.unread()
            await trio.lowlevel.checkpoint()
            transport.close()


@KINDS
async def test_a_client_that_has_gone_is_gone(kind: str) -> None:
    async with running_wire() as wire:
        transport, client = await connected(wire, kind)
        client.socket.close()
        with pytest.raises(ClientGone):
            await transport.send(MUCH)


async def test_over_tls_a_client_that_breaks_the_protocol_is_gone() -> None:
    async with running_wire() as wire:
        transport, client = await wire.tls_connection()
        client.socket.send(b"this is no record of TLS")
        with pytest.raises(ClientGone):
            await transport.receive()
        with pytest.raises(ClientGone):
            await transport.send(b"x")


async def test_after_the_server_has_ended_its_side_what_it_sends_over_tls_is_gone() -> None:
    async with running_wire() as wire:
        transport, _ = await wire.tls_connection()
        transport.end_sending()
        with pytest.raises(ClientGone):
            await transport.send(b"x")


async def test_what_is_sent_arrives_in_full_and_in_order() -> None:
    data = b"".join(b"%d " % number for number in range(100_000))
    async with running_wire() as wire:
        transport, client = wire.connection()
        received = b""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(transport.send, data)
            while len(received) < len(data):
                await trio.lowlevel.wait_readable(client.socket)
                received += client.unread()
        assert received == data


async def test_a_client_that_sends_without_a_pause_leaves_turns_to_other_tasks() -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with running_wire() as wire:
        transport, client = wire.connection()
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(count_turns)
            await trio.lowlevel.checkpoint()
            with pytest.raises(BlockingIOError):
                while True:
                    client.socket.send(MUCH)
            turns = reads = 0
            # More is read than comes: each read but the last finds something without waiting.
            while len(await transport.receive()) == 65_536:
                reads += 1
            assert reads > 1
            assert turns >= reads
            nursery.cancel_scope.cancel()
