"""Decides whether an event that NATS refused is published again, or dropped so that it blocks no others."""

from enum import Enum
from typing import Protocol

import structlog

from wr.events.nats_connection import Connected

log = structlog.get_logger("wr.events.nats")

_MOST = 3
"""Tries of an event that NATS certainly refuses, before it is dropped. They take about a second."""
_MOST_IN_DOUBT = 10
"""Tries of an event if the cause may be a problem of NATS itself. They take about a minute, because NATS may
not answer for seconds while it elects a leader."""
_STORE_FAILED = 10077
"""JetStream's error code for a full stream, and for some other problems."""


class Message(Protocol):
    """The part of an event that this module needs."""

    @property
    def id(self) -> str:
        """Id of the event. It stays the same when the event is published again."""
        ...

    @property
    def subject(self) -> str:
        """Subject on which the event is published."""
        ...


class SubjectForbidden(Exception):
    """NATS does not allow this user to publish on a subject."""

    def __init__(self, subject: str) -> None:
        super().__init__(f"it is not permitted to publish on {subject}")


class RetryDecision(Enum):
    """What to do after a failure."""

    GIVEN_UP = "given up"
    """Drop the event."""
    REFUSED = "refused"
    """Publish the event again, on the same connection."""
    FAILED = "failed"
    """Connect again. The connection is broken, or the streams of NATS may have changed."""


class Refusals:
    """Counts how often each event was refused. At most one batch of events is counted."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._hopeless: set[str] = set()
        """Subjects whose last event was certainly refused. Their next event is tried only once."""
        self._logged: set[str] = set()
        """Subjects whose last event was dropped. The log already says so."""

    def taken(self, message: Message) -> None:
        """Note that an event was acknowledged."""
        if self._counts:
            self._counts.pop(message.id, None)
        if self._logged:
            self._hopeless.discard(message.subject)
            self._logged.discard(message.subject)

    def judge(self, link: Connected, message: Message, error: BaseException) -> RetryDecision:
        """Return what to do after this failure. Logs only the first dropped event of each subject."""
        is_final = _is_refusal(link, message, error)
        if is_final is None:
            return RetryDecision.FAILED
        count = self._counts[message.id] = self._counts.get(message.id, 0) + 1
        is_hopeless = is_final and message.subject in self._hopeless | link.untaken
        if count < (1 if is_hopeless else _MOST if is_final else _MOST_IN_DOUBT):
            return RetryDecision.REFUSED if is_final else RetryDecision.FAILED
        del self._counts[message.id]
        # Only for certain refusals. Otherwise, while NATS has problems for minutes, the whole outbox would be
        # dropped within seconds.
        if is_final and _is_of_subject(error):
            self._hopeless.add(message.subject)
        if message.subject not in self._logged:
            self._logged.add(message.subject)
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
    """Whether the failure is about this event: True if certain, False if possible, None if it is not."""
    from nats.errors import MaxPayloadError  # noqa: PLC0415 - loaded only where NATS is used
    from nats.js.errors import APIError, NoStreamResponseError  # noqa: PLC0415

    if isinstance(error, SubjectForbidden | MaxPayloadError):
        return True
    if isinstance(error, NoStreamResponseError):
        return message.subject in link.untaken
    if isinstance(error, APIError):
        return error.code == 400 or error.err_code == _STORE_FAILED
    return None
