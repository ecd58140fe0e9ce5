"""A store of several machines: each call goes to the node that has its key."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import redis
import structlog
import trio

from wr.model.refusals import OutOfMemory, Unavailable
from wr.store.cluster_topology import ClusterTopology, Endpoint, slot_of
from wr.store.script import Argument, Raw, Script
from wr.store.server_link import BrokenOff, EachCommand, ServerLink, Unreached

T = TypeVar("T")

log = structlog.get_logger("wr.store")

_MOST_REDIRECTIONS = 5
_ON_ITS_WAY_S = 0.02
"""The pause between two attempts while a slot is being moved to another node."""
_NOWHERE = "No machine of the waiting room's store serves this just now"


class Cluster:
    """Runs commands and scripts on the node that has their keys, over one link for each node.

    All keys of a call or command must be in one slot. A call that was not carried out is sent again: at once
    to the node that the slot has moved to; for up to `patience_s` while the slot is being moved; and once if
    the node was not reached and another has its slots by now. A call that may have been carried out, wholly
    or in part, is not sent again, unless its script says that it may be (`Script.may_repeat`).

    If a node is away, calls for its slots fail, and calls for other slots are not held up.
    """

    is_sharded = True

    def __init__(
        self,
        topology: ClusterTopology,
        open_link: Callable[[Endpoint], ServerLink],
        *,
        patience_s: float = 3.0,
    ) -> None:
        self._topology = topology
        self._open_link = open_link
        self._patience_s = patience_s
        self._links: dict[Endpoint, ServerLink] = {}
        self._away: set[Endpoint] = set()

    async def run(self, key: str, command: Callable[[redis.Redis], T]) -> T:
        """Run `command` on the node that has `key`, in a worker thread. It may be run more than once.

        Raises:
            Unavailable: the node cannot be reached or cannot serve; the command may have been carried out.
        """

        async def carry_out(link: ServerLink, _asking: bool) -> T:
            return await link.run(key, command)

        slot = slot_of(key)
        return await self._carry_out(slot, carry_out, patience_s=self._patience_s, may_ask=False)

    async def run_each(self, keys: Sequence[str], command: EachCommand[T]) -> Sequence[T | Exception]:
        """Run `command` on each node with the keys that it has; returns replies in the order of the keys.

        The reply for a key whose node failed is the exception. If all have failed, the first is raised.
        """

        async def ask(link: ServerLink, indexes: Sequence[int]) -> Sequence[T | Exception]:
            return await link.run_each([keys[index] for index in indexes], command)

        async def ask_again(index: int, error: Exception) -> T:
            async def carry_out(link: ServerLink, _asking: bool) -> T:
                (reply,) = await link.run_each([keys[index]], command)
                if isinstance(reply, Exception):
                    raise Unavailable(_NOWHERE) from reply
                return reply

            return await self._persist(slot_of(keys[index]), error, carry_out, patience_s=0, may_ask=False)

        return await self._ask_all([slot_of(key) for key in keys], ask, ask_again)

    async def call(self, script: Script[Raw], keys: Sequence[str], arguments: Sequence[Argument]) -> Raw:
        """Run one script on the node that has its keys.

        Raises:
            Unavailable: as in `run`.
        """

        async def carry_out(link: ServerLink, asking: bool) -> Raw:
            try:
                return await link.call(script, keys, arguments, asking=asking)
            except BrokenOff as error:
                if not script.may_repeat:
                    raise
                raise Unavailable(error.message) from redis.exceptions.TryAgainError(error.message)

        return await self._carry_out(slot_of(keys[0]), carry_out, patience_s=self._patience_s)

    async def call_each(
        self, script: Script[Raw], calls: Sequence[tuple[Sequence[str], Sequence[Argument]]]
    ) -> list[Raw | Exception]:
        """Run one script for several queues, in one round trip to each node.

        Returns replies in the order of the calls; the reply of a call that failed is its exception.

        Raises:
            Unavailable: all have failed.
        """

        async def ask(link: ServerLink, indexes: Sequence[int]) -> list[Raw | Exception]:
            return await link.call_each(script, [calls[index] for index in indexes])

        async def ask_again(index: int, error: Exception) -> Raw:
            keys, arguments = calls[index]

            async def carry_out(link: ServerLink, asking: bool) -> Raw:
                return await link.call(script, keys, arguments, asking=asking)

            return await self._persist(slot_of(keys[0]), error, carry_out, patience_s=0)

        return await self._ask_all([slot_of(keys[0]) for keys, _ in calls], ask, ask_again)

    async def ping(self) -> None:
        """Make one round trip to each node, until one has answered.

        Raises:
            Unavailable: no node has answered.
        """
        if not self._topology.primaries():
            await self._topology.look()
        failure: Unavailable | None = None
        answered = False

        async def ask(node: Endpoint) -> None:
            nonlocal answered, failure
            try:
                await self._link_at(node).ping()
            except Unavailable as error:
                self._note_away(node, error)
                failure = error
            else:
                self._note_back(node)
                answered = True
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            for node in self._topology.primaries():
                nursery.start_soon(ask, node)
        if not answered:
            await self._topology.look()
            raise failure or Unavailable(_NOWHERE)

    async def client_for(self, key: str) -> redis.Redis:
        """Return a client of the node that has `key`, after the node has answered.

        Raises:
            Unavailable: it does not answer.
        """
        await self.run(key, lambda client: client.ping())
        return (await self._link(slot_of(key))).client

    def machine_of(self, key: str) -> str:
        """Name the node that has `key`; empty if that is not known."""
        node = self._topology.owner(slot_of(key))
        return "" if node is None else _name(node)

    def close(self) -> None:
        """Close every connection."""
        for link in self._links.values():
            link.close()
        self._topology.close()

    async def _carry_out(
        self,
        slot: int,
        carry_out: Callable[[ServerLink, bool], Awaitable[T]],
        *,
        patience_s: float,
        may_ask: bool = True,
    ) -> T:
        node = self._topology.owner(slot)
        link = self._links.get(node) if node is not None else None
        try:
            reply = await carry_out(link or await self._link(slot), False)
        except Unavailable as error:
            return await self._persist(slot, error, carry_out, patience_s=patience_s, may_ask=may_ask)
        if self._away:
            self._note_back(node)
        return reply

    async def _persist(
        self,
        slot: int,
        error: Exception,
        carry_out: Callable[[ServerLink, bool], Awaitable[T]],
        *,
        patience_s: float,
        may_ask: bool = True,
    ) -> T:
        """Repeat what failed with `error` if it was not carried out. Otherwise raise the error."""
        until = trio.current_time() + patience_s
        redirections = 0
        while True:
            cause = _cause(error)
            link, asking = None, False
            if isinstance(cause, redis.exceptions.MovedError):
                redirections += 1
                if not self._topology.moved(cause):
                    await self._topology.look()
            elif isinstance(cause, redis.exceptions.AskError) and may_ask:
                redirections += 1
                link, asking = self._link_at((cause.host, cause.port)), True
            elif isinstance(cause, redis.exceptions.AskError | redis.exceptions.TryAgainError):
                # The slot is being moved: some of its keys are on one node and some on another.
                if trio.current_time() >= until:
                    raise _refusal(error) from cause
                await trio.sleep(_ON_ITS_WAY_S)
            else:
                await self._find_successor(slot, error)
                redirections = _MOST_REDIRECTIONS
            if redirections > _MOST_REDIRECTIONS:
                raise _refusal(error) from cause
            try:
                return await carry_out(link or await self._link(slot), asking)
            except Unavailable as another:
                error = another

    async def _find_successor(self, slot: int, error: Exception) -> None:
        """Find out whether another node has the slot by now.

        Raises `error` if none has, or if the call may have been carried out.
        """
        if isinstance(error, OutOfMemory):
            raise error
        before = self._topology.owner(slot)
        await self._look_after(before, error)
        if not isinstance(error, Unreached) or self._topology.owner(slot) == before:
            raise error

    async def _look_after(self, node: Endpoint | None, error: Exception) -> None:
        """Look up the nodes after one has failed. That no node answers is not an error here."""
        if node is not None and isinstance(error, Unavailable):
            self._note_away(node, error)
        with suppress(Unavailable):
            await self._topology.look(node)

    async def _ask_all(
        self,
        slots: Sequence[int],
        ask: Callable[[ServerLink, Sequence[int]], Awaitable[Sequence[T | Exception]]],
        ask_again: Callable[[int, Exception], Awaitable[T]],
    ) -> list[T | Exception]:
        """Ask each node for its slots; returns replies or exceptions in the order of the slots."""
        if slots and not self._topology.primaries():
            await self._topology.look()
        groups: dict[Endpoint | None, list[int]] = {}
        for index, slot in enumerate(slots):
            groups.setdefault(self._topology.owner(slot), []).append(index)
        # Every slot is in one group, so each of these is replaced.
        replies: list[T | Exception] = [Unavailable(_NOWHERE)] * len(slots)

        async def ask_node(node: Endpoint | None, indexes: list[int]) -> None:
            answers: Sequence[T | Exception]
            try:
                answers = await ask(await self._link(slots[indexes[0]]), indexes)
                self._note_back(node)
            except Unavailable as error:
                answers = [error] * len(indexes)
                await self._look_after(node, error)
            for index, answer in zip(indexes, answers, strict=True):
                replies[index] = answer
                if isinstance(answer, Exception) and isinstance(_cause(answer), redis.exceptions.AskError):
                    try:
                        replies[index] = await ask_again(index, answer)
                    except (Unavailable, redis.RedisError) as error:
                        replies[index] = error

        async with trio.open_nursery() as nursery:
            for node, indexes in groups.items():
                nursery.start_soon(ask_node, node, indexes)
        failed = [reply for reply in replies if isinstance(reply, Exception)]
        if failed and len(failed) == len(replies):
            raise failed[0]
        return replies

    async def _link(self, slot: int) -> ServerLink:
        node = self._topology.owner(slot)
        if node is None:
            await self._topology.look()
            node = self._topology.owner(slot)
        if node is None:
            raise Unavailable(_NOWHERE)
        return self._link_at(node)

    def _link_at(self, node: Endpoint) -> ServerLink:
        link = self._links.get(node)
        if link is None:
            self._links[node] = link = self._open_link(node)
        return link

    def _note_away(self, node: Endpoint, error: Unavailable) -> None:
        if node not in self._away and not isinstance(error.__cause__, redis.ResponseError):
            self._away.add(node)
            log.warning(
                "a machine of the store is away: its queues wait, others go on",
                machine=_name(node),
                error=str(error.__cause__ or error),
            )

    def _note_back(self, node: Endpoint | None) -> None:
        if node in self._away:
            self._away.discard(node)
            log.info("a machine of the store is back", machine=_name(node))


def _cause(error: Exception) -> BaseException | None:
    return error.__cause__ if isinstance(error, Unavailable) else error


def _refusal(error: Exception) -> Unavailable:
    return error if isinstance(error, Unavailable) else Unavailable(_NOWHERE)


def _name(node: Endpoint) -> str:
    return f"{node[0]}:{node[1]}"
