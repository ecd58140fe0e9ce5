"""The examination of a deployment from outside: every check, in the order in which a visitor meets it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, urlsplit

from wr.api.messages import PublicQueueResponse
from wr.doctor.asking import NoAnswer, ask
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
    # Where nothing tells, it may well be behind the same proxy.
    same = f"{parts.scheme}://{parts.netloc}"
    try:
        yield from _examine_room(
            replace(
                deployment,
                room=deployment.room or way.room or same,
                queue_id=deployment.queue_id or way.queue_id,
            ),
            (way.room, same),
            name,
            now_s,
            sleep,
        )
    except NoAnswer as error:
        yield not_reached("waiting room", deployment.room or way.room or same, error)


def _examine_room(
    found: Deployment,
    entrances: Sequence[str],
    name: str,
    now_s: Callable[[], float],
    sleep: Callable[[float], None],
) -> Iterator[Finding]:
    health = observe(f"{found.room}/health", now_s)
    room = check_room(health)
    yield room
    if room.is_bad:
        return
    yield check_clock("room's clock", health)
    if not found.queue_id:
        yield bad("walk", "the site does not say which queue people wait in", "name it with --queue")
        return
    # Visitors come through the proxy, whatever the operator's own way to the waiting room is.
    entrance = next((each for each in entrances if each and _shows_queue(each, found.queue_id)), found.room)
    walk = Walk(entrance, found.queue_id, found.origin, name, keys_at=found.room, now_s=now_s, sleep=sleep)
    can_join = True
    for finding in walk.take():
        yield finding
        can_join = can_join and not (finding.subject == "walk" and finding.is_bad)
    if can_join:
        yield walk.check_forging()


def _shows_queue(room: str, queue_id: str) -> bool:
    try:
        answer = ask(f"{room}/api/v1/queues/{quote(queue_id, safe='')}")
    except NoAnswer:
        return False
    return answer.status == 200 and answer.read(PublicQueueResponse) is not None
