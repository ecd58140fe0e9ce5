"""Refusals: whether an event that NATS did not take is published again, or given up for the others' sake."""

from enum import Enum
from typing import Protocol

import structlog

from wr.events.nats_connection import Connected

log = structlog.get_logger("wr.events.nats")

_MOST = 3
"""Refusals of one event, for its own sake, before it is given up: in about a second."""
_MOST_IN_DOUBT = 10
"""The same where it may be the server's trouble: in about a minute, for an election of its leader may take
seconds in which nobody answers."""
_STORE_FAILED = 10077
"""JetStream's code for a stream that is full, among other things."""


class Message(Protocol):
    """What is known of an event here."""

    @property
    def id(self) -> str:
        """The same however often it is published."""
        ...

    @property
    def subject(self) -> str:
        """Where it is published."""
        ...


class SubjectForbidden(Exception):
    """The server does not let this user publish on a subject."""

    def __init__(self, subject: str) -> None:
        super().__init__(f"it is not permitted to publish on {subject}")


class RetryDecision(Enum):
    """What follows from a failure."""

    GIVEN_UP = "given up"
    """The event is dropped."""
    REFUSED = "refused"
    """The event is published again, on the same connection."""
    FAILED = "failed"
    """The connection is of no use, or is to be looked at anew."""


class Refusals:
    """Counts how often each event was refused. Of bounded size: there is a batch of them at most."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._hopeless: set[str] = set()
        """Subjects that were refused for certain the last time: the next event so refused is tried once."""
        self._told: set[str] = set()
        """Subjects of which the last event was given up, as the log says."""

    def taken(self, message: Message) -> None:
        """Take in that an event was acknowledged."""
        if self._counts:
            self._counts.pop(message.id, None)
        if self._told:
            self._hopeless.discard(message.subject)
            self._told.discard(message.subject)

    def judge(self, link: Connected, message: Message, error: BaseException) -> RetryDecision:
        """Say what follows from this failure; logs the first event of a subject that is given up."""
        is_final = _is_refusal(link, message, error)
        if is_final is None:
            return RetryDecision.FAILED
        count = self._counts[message.id] = self._counts.get(message.id, 0) + 1
        is_hopeless = is_final and message.subject in self._hopeless | link.untaken
        if count < (1 if is_hopeless else _MOST if is_final else _MOST_IN_DOUBT):
            return RetryDecision.REFUSED if is_final else RetryDecision.FAILED
        del self._counts[message.id]
        # In doubt the next event has as many tries: else the whole buffer would be given up within seconds
        # where a server is in trouble for minutes.
        if is_final and _is_of_subject(error):
            self._hopeless.add(message.subject)
        if message.subject not in self._told:
            self._told.add(message.subject)
            log.error(
                "NATS refuses an event; it is dropped, and so are others like it",
                subject=message.subject,
                error=str(error),
            )
        return RetryDecision.GIVEN_UP


def _is_of_subject(error: BaseException) -> bool:
    from nats.js.errors import NoStreamResponseError  # noqa: PLC0415 - loaded only where NATS is used

    return isinstance(error, SubjectForbidden | NoStreamResponseError)


def _is_refusal(link: Connected, message: Message, error: BaseException) -> bool | None:
    """Whether the event is refused for its own sake, or may be; None if it is not a matter of the event."""
    from nats.errors import MaxPayloadError  # noqa: PLC0415 - loaded only where NATS is used
    from nats.js.errors import APIError, NoStreamResponseError  # noqa: PLC0415

    if isinstance(error, SubjectForbidden | MaxPayloadError):
        return True
    if isinstance(error, NoStreamResponseError):
        return message.subject in link.untaken
    if isinstance(error, APIError):
        return error.code == 400 or error.err_code == _STORE_FAILED
    return None
