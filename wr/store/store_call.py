"""Answers that need the store: what to ask, and what makes the answer from the reply, as plain functions.

An operation that needs the store returns a `StoreCall` and awaits nothing. So a lane can put hundreds of them
into one batch without a task for each. Whatever has to wait for something else returns `Later`.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from wr.store.batcher import Batcher

Item = TypeVar("Item")
Reply = TypeVar("Reply")
T = TypeVar("T")
U = TypeVar("U")


class StoreCall(msgspec.Struct, Generic[Item, Reply, T], gc=False):
    """One call of the store on the way to an answer."""

    batcher: Batcher[Item, Reply]
    """In whose batches the call travels."""
    key: str
    item: Item
    finish: "Callable[[Reply], Answer[T]]"
    """Makes the answer from the reply, or says what else is needed. It may raise a `Refusal`."""


class Later(msgspec.Struct, Generic[T], gc=False):
    """An answer for which a task has to wait."""

    wait: "Callable[[], Awaitable[Answer[T]]]"


Answer: TypeAlias = T | StoreCall[Any, Any, T] | Later[T]
"""An answer, or what it still needs. `Any` stands for an item and its reply, which fit each other wherever a
`StoreCall` is made."""


async def settled(answer: Answer[T]) -> T:
    """Wait for what an answer needs, and return it.

    Raises:
        Unavailable: the store is away.
        Refusal: whatever makes the answer refuses.
    """
    while True:
        if isinstance(answer, StoreCall):
            answer = answer.finish(await answer.batcher.submit(answer.key, answer.item))
        elif isinstance(answer, Later):
            answer = await answer.wait()
        else:
            return answer
