"""The look at the store's memory: once a second, so that joins stop before there is none left."""

from contextlib import suppress
from typing import Protocol

import trio

from wr.model.refusals import Unavailable

INTERVAL_S = 1.0
"""How often a server asks. What joins take meanwhile has to fit into what is left when they are stopped."""


class Measured(Protocol):
    """What the task needs of the store."""

    async def read_memory(self) -> None:
        """Take in how much memory the store uses, and how much it may."""
        ...


async def watch_memory(store: Measured) -> None:
    """Have `store` read its memory once a second, for ever."""
    while True:
        # While the store is away, what was known holds.
        with suppress(Unavailable):
            await store.read_memory()
        await trio.sleep(INTERVAL_S)
