"""Webhooks: which URL gets which events, how a delivery is signed, and when it is tried again."""

import hmac
from collections.abc import Iterable
from hashlib import sha256
from urllib.parse import urlsplit

import msgspec

from wr.model.events import EventType
from wr.model.refusals import InvalidRequest

MOST_WEBHOOKS = 32
LONGEST_URL = 2048


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """A URL that receives events, as kept in the store."""

    id: str
    url: str
    events: list[str]
    """Types or patterns such as `position.*`."""
    queue_id: str = ""
    """Only events of this queue; empty for all queues."""
    secret: str
    """The secret that signs deliveries; shown only once."""
    created_ms: int

    @property
    def kinds(self) -> frozenset[EventType]:
        """The types of events that it receives."""
        return kinds_of(self.events)

    @property
    def shown_url(self) -> str:
        """The URL for logs and the audit trail: only its origin, because path and query may contain a
        secret."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{rest.partition('?')[0].partition('/')[0]}"


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that failed at every try, as kept in the store."""

    webhook_id: str
    event_id: str
    event_type: str
    queue_id: str
    whose: str
    """The position in hexadecimal digits; empty for events of a queue."""
    body: str
    attempts: int
    error: str
    """The error of the last try."""
    died_ms: int


def kinds_of(patterns: Iterable[str]) -> frozenset[EventType]:
    """Return the types that the patterns match: a type, `*`, or a prefix with `*` such as `position.*`."""
    return frozenset(kind for kind in EventType for pattern in patterns if _matches(pattern, kind))


def check_webhook(url: str, patterns: Iterable[str]) -> None:
    """Refuse a webhook that could never receive anything.

    Raises:
        InvalidRequest: the URL is not http(s) with a host, or contains a name and password; or a pattern
            matches no event. `details` names the field.
    """
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        # A password in the URL would be shown in lists; the signature of deliveries is the better proof.
        sound = sound and parts.username is None and parts.password is None and not parts.fragment
        if parts.hostname:
            parts.hostname.encode("idna")
    except ValueError:
        sound = False
    if not sound or any(not "!" <= character <= "~" for character in url):
        raise InvalidRequest("url must be an http or https URL without name, password and #", field="url")
    for pattern in patterns:
        if not any(_matches(pattern, kind) for kind in EventType):
            raise InvalidRequest(f"There are no events of the type {pattern}", field="events")


def _matches(pattern: str, kind: EventType) -> bool:
    if pattern == "*":
        return True
    if pattern.endswith(".*"):
        return kind.value.startswith(pattern[:-1])
    return pattern == kind.value


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Sign a delivery: HMAC-SHA256 over the timestamp, a dot and the body, as `v1=<hex>`."""
    signed = timestamp.encode() + b"." + body
    return "v1=" + hmac.new(secret.encode(), signed, sha256).hexdigest()


def retry_pause_s(failures: int, first_s: float, draw: float) -> float:
    """Return the seconds to wait after so many failures (from 1): doubled each time, plus or minus a quarter.

    `draw` is a random number from 0 to 1. Without it, deliveries that failed together would be tried again
    together.
    """
    return first_s * 2.0 ** (failures - 1) * (0.75 + draw / 2)
