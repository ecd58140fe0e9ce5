"""What the delivery of webhooks needs of an HTTP client, so that it can be tested without one."""

from collections.abc import Sequence
from typing import Protocol


class RequestFailure(Exception):
    """No answer came; the message tells the operator why."""


class Requesting(Protocol):
    """An HTTP client that posts."""

    async def __call__(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> int:
        """Post and return the status of the answer; raises `RequestFailure`."""
        ...

    async def keep(self) -> None:
        """Keep connections open between requests for as long as this runs, until cancelled."""
        ...
