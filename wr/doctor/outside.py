"""The examination of a deployment from outside: every check, in the order in which a visitor meets it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from wr.doctor.asking import NoAnswer
from wr.doctor.finding import Finding, bad
from wr.doctor.site import (
    check_clock,
    check_gate,
    check_reach,
    check_room,
    not_reached,
    observe,
)
from wr.doctor.walk import Walk


@dataclass(frozen=True)
class Deployment:
    """What is out there: the site that people wait for, the waiting room, the queue; empty if not known."""

    origin: str
    room: str = ""
    queue_id: str = ""

    @classmethod
    def at(cls, origin: str, room: str, queue_id: str) -> "Deployment":
        """Take what the operator says.

        Raises:
            ValueError: an address is no http or https URL.
        """
        for url in (origin, *([room] if room else [])):
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError(f"'{url}' is not an http or https URL")
        return cls(origin, room.rstrip("/"), queue_id)


def examine_deployment(
    deployment: Deployment, name: str, *, now_s: Callable[[], float], sleep: Callable[[float], None]
) -> Iterator[Finding]:
    """Check a deployment as a visitor called `name` meets it; yields each finding as soon as it is there.

    It joins the queue three times, under one address, and leaves again; it takes a minute at the most.
    """
    try:
        site = observe(deployment.origin, now_s)
    except NoAnswer as error:
        yield not_reached("site", deployment.origin, error)
        return
    yield check_reach(site)
    yield check_clock("site's clock", site)
    finding, way = check_gate(site)
    yield finding
    parts = urlsplit(deployment.origin)
    found = replace(
        deployment,
        # Where nothing tells, it may well be behind the same proxy.
        room=deployment.room or way.room or f"{parts.scheme}://{parts.netloc}",
        queue_id=deployment.queue_id or way.queue_id,
    )
    yield from _examine_room(found, name, now_s, sleep)


def _examine_room(
    found: Deployment, name: str, now_s: Callable[[], float], sleep: Callable[[float], None]
) -> Iterator[Finding]:
    try:
        health = observe(f"{found.room}/health", now_s)
        room = check_room(health)
        yield room
        if room.is_bad:
            return
        yield check_clock("room's clock", health)
        if not found.queue_id:
            yield bad("walk", "the site does not say which queue people wait in", "name it with --queue")
            return
        walk = Walk(found.room, found.queue_id, found.origin, name, now_s=now_s, sleep=sleep)
        can_join = True
        for finding in walk.take():
            yield finding
            can_join = can_join and not (finding.subject == "walk" and finding.is_bad)
        if can_join:
            yield walk.check_forging()
    except NoAnswer as error:
        yield not_reached("waiting room", found.room, error)
