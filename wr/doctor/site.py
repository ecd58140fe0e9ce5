"""Checks of a deployed site from outside: reached, gated, on time, with a certificate that lasts."""

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import unquote, urlsplit

from wr.api.service.messages import HealthResponse
from wr.client.http_exchange import HttpAnswer, NoAnswer, NoSecureConnection
from wr.doctor.finding import Finding, bad, good, unsure
from wr.doctor.health import MORE_MEMORY, trouble_of
from wr.doctor.http_probe import led_to
from wr.doctor.trial_visitor import SESSION_COOKIE, TrialVisitor

MOST_SKEW_S = 2.0
"""Session tokens name seconds; a site that is further off refuses some that are good."""
LEAST_CERTIFICATE_DAYS = 14
_DAY_S = 86_400
_WAITING_PAGE = re.compile(r"^(?P<before>.*)/wait/(?P<queue>[^/?#]+)")
_REFUSALS = (401, 403, 503)
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Observed:
    """An answer, and when it was asked for and there, in seconds since 1970 by our clock."""

    url: str
    answer: HttpAnswer
    asked_s: float
    answered_s: float


@dataclass(frozen=True)
class Way:
    """Where the gate sends people: the waiting room's address, and the queue; empty if it does not say."""

    room: str = ""
    queue_id: str = ""


def observe(url: str, visitor: TrialVisitor, now_s: Callable[[], float]) -> Observed:
    """Look at a page as somebody who was never there.

    Raises:
        NoSecureConnection, NoAnswer: there is no answer.
    """
    asked_s = now_s()
    answer = visitor.ask(url, headers={"Accept": "text/html"})
    return Observed(url, answer, asked_s, now_s())


def not_reached(subject: str, url: str, error: NoAnswer) -> Finding:
    """Say why nothing can be found out there."""
    if isinstance(error, NoSecureConnection):
        return bad(subject, f"{url} has no good certificate: {error}", "renew it, with the whole chain")
    return bad(subject, f"{url} does not answer: {error}", "see that it runs and that its name leads here")


def check_reach(seen: Observed) -> Finding:
    """Check that the site is reached in a way that keeps session tokens secret, for a while longer."""
    subject = "site"
    parts = urlsplit(seen.url)
    if parts.scheme != "https":
        if parts.hostname in _LOOPBACK:
            return good(subject, f"{seen.url} answers, on this machine")
        return unsure(
            subject, f"{seen.url} answers without TLS: tokens can be read on the way", "serve https"
        )
    days = (ssl.cert_time_to_seconds(seen.answer.certificate_end) - seen.answered_s) / _DAY_S
    found = f"{seen.url} answers; its certificate is valid for {days:.0f} days"
    if days < LEAST_CERTIFICATE_DAYS:
        return unsure(subject, found, "renew it before the sale")
    return good(subject, found)


def check_clock(subject: str, seen: Observed) -> Finding:
    """Check that the clock there, as the `Date` of an answer tells it, agrees with ours to 2 s."""
    try:
        # The date is cut to the second: it was so late at the earliest, and a second later at the latest.
        earliest_s = parsedate_to_datetime(seen.answer.header("date")).timestamp()
    except ValueError:
        return unsure(subject, "the answer tells no date", "have the server or proxy send the Date header")
    ahead_s = max(0.0, earliest_s - seen.answered_s)
    behind_s = max(0.0, seen.asked_s - earliest_s - 1)
    skew_s = max(ahead_s, behind_s)
    if skew_s > MOST_SKEW_S:
        found = f"{skew_s:.0f} s {'ahead of' if ahead_s else 'behind'} the clock here"
        return bad(subject, found, "run chrony or systemd-timesyncd there, and here")
    return good(subject, f"agrees with the one here to {MOST_SKEW_S:g} s")


def check_gate(seen: Observed) -> tuple[Finding, Way]:
    """Check that who was not let in does not get in, and is sent to the waiting page instead."""
    subject = "gate"
    answer = seen.answer
    location = answer.header("x-wr-location") or answer.header("location")
    elsewhere = led_to(seen.url, location) if location else ""
    match = _WAITING_PAGE.match(elsewhere)
    if match is not None:
        way = Way(match["before"], unquote(match["queue"]))
        return good(subject, f"who was not let in is sent to {match[0]}"), way
    for cookie in answer.headers.get("set-cookie", ()):
        if cookie.startswith(SESSION_COOKIE):
            way = Way(queue_id=cookie.partition("=")[0].removeprefix(SESSION_COOKIE))
            return good(subject, "is in the way, and lets in at once: nobody waits just now"), way
    if answer.status in _REFUSALS:
        return unsure(
            subject,
            f"who was not let in is refused with {answer.status}, but not sent to the waiting page",
            "have the proxy redirect to the X-WR-Location that the gate answers",
        ), Way()
    if elsewhere:
        return unsure(subject, f"{seen.url} leads to {elsewhere}", "give that as --origin"), Way()
    if location:
        return unsure(
            subject, f"{seen.url} leads to {location!r}, which is no http or https URL", "mend that redirect"
        ), Way()
    return bad(
        subject,
        f"{seen.url} answers {answer.status} to somebody who was never let in: nobody has to wait",
        "have the proxy in front of the site ask the gate about each request; or look at a page that is not "
        "among the queue's open_paths, from an address that is not among its open_addresses",
    ), Way()


def check_room(seen: Observed) -> Finding:
    """Check that a waiting room that can do its work answers; `seen` is its health."""
    subject = "waiting room"
    health = seen.answer.read(HealthResponse)
    room = seen.url.removesuffix("/health")
    if health is None:
        # A proxy may well pass on only what visitors need; whether it is a waiting room, the walk tells.
        return unsure(
            subject, f"{room} does not show its health", "to see it, say its own address with --url"
        )
    if health.status != "healthy":
        return bad(subject, f"wr {health.version} at {room} is unhealthy", "see its log")
    trouble = trouble_of(health)
    if trouble:
        return unsure(subject, f"wr {health.version} at {room} serves, but {trouble}", MORE_MEMORY)
    return good(subject, f"wr {health.version} at {room} is healthy")
