"""Watching the store's memory: read once a second, so that joins stop before it is used up."""

from contextlib import suppress
from typing import Protocol

import trio

from wr.model.refusals import Unavailable

INTERVAL_S = 1.0
"""How often a server asks. What joins need in between must fit into the memory that is left for it."""


class Measured(Protocol):
    """What the task needs of the store."""

    async def read_memory(self) -> None:
        """Read how much memory the store uses, and how much it may use."""
        ...


async def watch_memory(store: Measured) -> None:
    """Read the memory of the store once a second, for ever."""
    while True:
        # While the store is away, the last figures hold.
        with suppress(Unavailable):
            await store.read_memory()
        await trio.sleep(INTERVAL_S)
