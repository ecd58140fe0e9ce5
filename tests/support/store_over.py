"""A store over a connection of the test's own, for tests of what happens between a call and its answer."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import trio

from wr.model.limits import Limit
from wr.store.admit import LEAST_GAP_MS
from wr.store.connection import Connection
from wr.store.key_names import KeyNames
from wr.store.observer import StoreObserver
from wr.store.store import Store, StoreTimes, store_clock


@asynccontextmanager
async def store_over(
    connection: Connection, limits: Mapping[str, Limit], prefix: str, observer: StoreObserver | None = None
) -> AsyncIterator[Store]:
    """Do what `open_store` does, with this connection."""
    try:
        async with trio.open_nursery() as nursery:
            times = StoreTimes(store_clock, LEAST_GAP_MS)
            yield Store(connection, nursery, KeyNames(prefix), limits, times, observer=observer)
            nursery.cancel_scope.cancel()
    finally:
        connection.close()
