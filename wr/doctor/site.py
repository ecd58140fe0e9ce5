"""Checks of a deployed site from outside: it answers, its certificate and clock are good, its gate works."""

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
"""Session tokens have times in seconds: a site whose clock differs by more refuses some valid tokens."""
LEAST_CERTIFICATE_DAYS = 14
_DAY_S = 86_400
_WAITING_PAGE = re.compile(r"^(?P<before>.*)/wait/(?P<queue>[^/?#]+)")
_REFUSALS = (401, 403, 503)
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Observed:
    """An answer, and when it was requested and received, in seconds since 1970 on this machine's clock."""

    url: str
    answer: HttpAnswer
    asked_s: float
    answered_s: float


@dataclass(frozen=True)
class Way:
    """Where the gate sends visitors: the waiting room's address and the queue; empty if unknown."""

    room: str = ""
    queue_id: str = ""


def observe(url: str, visitor: TrialVisitor, now_s: Callable[[], float]) -> Observed:
    """Request a page as a new visitor.

    Raises:
        NoSecureConnection, NoAnswer: there is no answer.
    """
    asked_s = now_s()
    answer = visitor.ask(url, headers={"Accept": "text/html"})
    return Observed(url, answer, asked_s, now_s())


def not_reached(subject: str, url: str, error: NoAnswer) -> Finding:
    """Report that a server does not answer, and why."""
    if isinstance(error, NoSecureConnection):
        return bad(
            subject,
            f"{url} has no valid certificate: {error}",
            "install one with all intermediate certificates",
        )
    return bad(
        subject, f"{url} does not answer: {error}", "check that it runs and that its DNS name is right"
    )


def check_reach(seen: Observed) -> Finding:
    """Check that the site uses TLS, so that tokens stay secret, and that its certificate is not about to
    expire."""
    subject = "site"
    parts = urlsplit(seen.url)
    if parts.scheme != "https":
        if parts.hostname in _LOOPBACK:
            return good(subject, f"{seen.url} answers, on this machine")
        return unsure(
            subject, f"{seen.url} answers without TLS: others can read tokens on the network", "use https"
        )
    days = (ssl.cert_time_to_seconds(seen.answer.certificate_end) - seen.answered_s) / _DAY_S
    found = f"{seen.url} answers; its certificate is valid for {days:.0f} days"
    if days < LEAST_CERTIFICATE_DAYS:
        return unsure(subject, found, "renew it before the sale")
    return good(subject, found)


def check_clock(subject: str, seen: Observed) -> Finding:
    """Check that the server's clock, read from the `Date` header, agrees with this machine's to 2 s."""
    try:
        # The date is cut to the second: the real time is up to a second later.
        earliest_s = parsedate_to_datetime(seen.answer.header("date")).timestamp()
    except ValueError:
        return unsure(subject, "the answer has no Date header", "make the server or proxy send it")
    ahead_s = max(0.0, earliest_s - seen.answered_s)
    behind_s = max(0.0, seen.asked_s - earliest_s - 1)
    skew_s = max(ahead_s, behind_s)
    if skew_s > MOST_SKEW_S:
        found = f"{skew_s:.0f} s {'ahead of' if ahead_s else 'behind'} the clock here"
        return bad(subject, found, "run chrony or systemd-timesyncd on both machines")
    return good(subject, f"agrees with this machine's to {MOST_SKEW_S:g} s")


def check_gate(seen: Observed) -> tuple[Finding, Way]:
    """Check that the gate sends a visitor without a session to the waiting page."""
    subject = "gate"
    answer = seen.answer
    location = answer.header("x-wr-location") or answer.header("location")
    elsewhere = led_to(seen.url, location) if location else ""
    match = _WAITING_PAGE.match(elsewhere)
    if match is not None:
        way = Way(match["before"], unquote(match["queue"]))
        return good(subject, f"sends visitors without a session to {match[0]}"), way
    for cookie in answer.headers.get("set-cookie", ()):
        if cookie.startswith(SESSION_COOKIE):
            way = Way(queue_id=cookie.partition("=")[0].removeprefix(SESSION_COOKIE))
            return good(subject, "works, and admits at once: no visitors wait now"), way
    if answer.status in _REFUSALS:
        return unsure(
            subject,
            f"answers {answer.status} to visitors without a session, but does not redirect them",
            "make the proxy redirect to the X-WR-Location in the gate's answer",
        ), Way()
    if elsewhere:
        return unsure(subject, f"{seen.url} redirects to {elsewhere}", "give that as --origin"), Way()
    if location:
        return unsure(
            subject,
            f"{seen.url} redirects to {location!r}, which is not an http or https URL",
            "correct the redirect",
        ), Way()
    return bad(
        subject,
        f"{seen.url} answers {answer.status} to a visitor without a session: visitors do not have to wait",
        "make the site's proxy ask the gate about each request; or give a page outside of the queue's "
        "open_paths, and run this from an address outside of its open_addresses",
    ), Way()


def check_room(seen: Observed) -> Finding:
    """Check that the waiting room is healthy; `seen` is the answer of its /health."""
    subject = "waiting room"
    health = seen.answer.read(HealthResponse)
    room = seen.url.removesuffix("/health")
    if health is None:
        # A proxy may forward only what visitors need. The walk shows whether this is a waiting room.
        return unsure(subject, f"{room} does not show its health", "give the server's own address with --url")
    if health.status != "healthy":
        return bad(subject, f"wr {health.version} at {room} is unhealthy", "read its log")
    trouble = trouble_of(health)
    if trouble:
        return unsure(subject, f"wr {health.version} at {room} is healthy, but {trouble}", MORE_MEMORY)
    return good(subject, f"wr {health.version} at {room} is healthy")
