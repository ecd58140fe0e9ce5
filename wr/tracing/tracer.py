"""What the server needs of a tracer. Nothing here loads a tracing library."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import Context
from typing import Protocol


class RequestSpan(Protocol):
    """The span of a request that is being answered."""

    def end(self, *, route: str, method: str, status: int, request_id: str) -> None:
        """End the span; `route` is a path of the route table."""
        ...


class Tracer(Protocol):
    """Traces requests and batches."""

    def begin_request(self, method: str, headers: Mapping[str, str], /) -> RequestSpan:
        """Begin the span of a request in this task, below the caller's own if the headers name one."""
        ...

    def batch(self, script: str, callers: Sequence[Context], /) -> AbstractContextManager[None]:
        """Put a span around one batch of a script: below the first of its callers, linked to the others."""
        ...

    def close(self) -> None:
        """Send what is not sent yet; blocks."""
        ...
