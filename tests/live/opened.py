"""Registries, and a stream that is registered for a block."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from wr.live.registry import Others, Registry
from wr.live.stream import Stream
from wr.model.address_shares import AddressShares


def unlimited_registry() -> Registry:
    """A registry in which an address may hold any number of streams."""
    return Registry(AddressShares(sys.maxsize))


@contextmanager
def opened(registry: Registry, stream: Stream, others: Others = Others.KEPT) -> Iterator[None]:
    """Keep `stream` registered until the block ends."""
    registry.add(stream, others)
    try:
        yield
    finally:
        registry.remove(stream)
