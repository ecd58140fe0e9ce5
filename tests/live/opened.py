"""A stream that is registered for a block."""

from collections.abc import Iterator
from contextlib import contextmanager

from wr.live.registry import Registry
from wr.live.stream import Stream


@contextmanager
def opened(registry: Registry, stream: Stream, *, replace: bool = False) -> Iterator[None]:
    """Keep `stream` registered until the block ends."""
    registry.add(stream, replace=replace)
    try:
        yield
    finally:
        registry.remove(stream)
