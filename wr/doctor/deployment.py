"""Checks a deployment from outside: every check, in the order in which a visitor meets its subject."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, urlsplit

from wr.api.visitors.messages import PublicQueueResponse
from wr.client.http_exchange import NoAnswer, read_url
from wr.doctor.finding import Finding, bad, unsure
from wr.doctor.server import check_server
from wr.doctor.site import (
    check_clock,
    check_gate,
    check_reach,
    check_room,
    not_reached,
    observe,
)
from wr.doctor.trial_visitor import TrialVisitor
from wr.doctor.visitor_walk import Walk


@dataclass(frozen=True)
class Deployment:
    """The deployment to check: the site that visitors wait for, the waiting room and the queue; empty if
    unknown."""

    origin: str
    room: str = ""
    queue_id: str = ""
    metrics_token: str = ""
    """Token for the metrics of `room`; sent to no other server."""
    expected_crowd: int = 0

    @classmethod
    def at(
        cls, origin: str, room: str, queue_id: str, *, metrics_token: str = "", expected_crowd: int = 0
    ) -> "Deployment":
        """Make it from the operator's options.

        Raises:
            ValueError: an address is not an http or https URL.
        """
        for url in (origin, *([room] if room else [])):
            read_url(url)
        return cls(origin, room.rstrip("/"), queue_id, metrics_token, expected_crowd)


class _Examination:
    """One examination of a deployment, by one test visitor."""

    def __init__(
        self, deployment: Deployment, name: str, now_s: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._given = deployment
        self._now_s = now_s
        self._sleep = sleep
        self._visitor = TrialVisitor(name)
        self._rooms: list[str] = []
        """Addresses at which visitors reach the waiting room."""

    def look(self) -> Iterator[Finding]:
        """Run all checks, then give up all places and sessions that the visitor got."""
        try:
            yield from self._look_at_site()
        finally:
            left = self._visitor.give_back(self._rooms)
        if left:
            yield unsure(
                "left behind",
                f"{left} sessions or places from the gate could not be given up",
                "give the address of the waiting room with --url; without it, they end when they expire",
            )

    def _look_at_site(self) -> Iterator[Finding]:
        given = self._given
        try:
            site = observe(given.origin, self._visitor, self._now_s)
        except NoAnswer as error:
            yield not_reached("site", given.origin, error)
            return
        yield check_reach(site)
        yield check_clock("site's clock", site)
        gate, way = check_gate(site)
        yield gate
        parts = urlsplit(given.origin)
        # Without another hint, assume that the waiting room is behind the same proxy as the site.
        same = f"{parts.scheme}://{parts.netloc}"
        room = given.room or way.room or same
        try:
            found = replace(given, room=room, queue_id=given.queue_id or way.queue_id)
            yield from self._look_at_room(found, (way.room, same), is_gated=not gate.is_bad)
        except NoAnswer as error:
            yield not_reached("waiting room", room, error)

    def _look_at_room(
        self, found: Deployment, entrances: Sequence[str], *, is_gated: bool
    ) -> Iterator[Finding]:
        if found.queue_id:
            self._rooms = [
                each
                for each in dict.fromkeys((*entrances, found.room))
                if each and self._shows_queue(each, found.queue_id)
            ]
        health = observe(f"{found.room}/health", self._visitor, self._now_s)
        room = check_room(health)
        yield room
        if room.is_bad:
            return
        yield check_clock("room's clock", health)
        if self._given.room:
            yield from check_server(found.room, found.metrics_token, found.expected_crowd)
        if not found.queue_id:
            yield bad("walk", "the site does not name the queue", "name it with --queue")
            return
        # The test visitor takes the visitors' way through the proxy, not the operator's --url.
        walk = Walk(
            (*self._rooms, found.room)[0],
            found.queue_id,
            found.origin,
            self._visitor,
            keys_at=found.room,
            is_gated=is_gated,
            now_s=self._now_s,
            sleep=self._sleep,
        )
        can_join = True
        for finding in walk.take():
            yield finding
            can_join = can_join and not (finding.subject == "walk" and finding.is_bad)
        if can_join:
            yield walk.check_forging()

    def _shows_queue(self, room: str, queue_id: str) -> bool:
        try:
            answer = self._visitor.ask(f"{room}/api/v1/queues/{quote(queue_id, safe='')}")
        except NoAnswer:
            return False
        return answer.status == 200 and answer.read(PublicQueueResponse) is not None


def examine_deployment(
    deployment: Deployment, name: str, *, now_s: Callable[[], float], sleep: Callable[[float], None]
) -> Iterator[Finding]:
    """Check a deployment as the test visitor `name`; yields each finding as soon as it is known.

    The visitor joins the queue three times, from one address, and gives up all places and sessions. Takes
    seconds if everything answers; a request without a complete answer takes 15 s.
    """
    yield from _Examination(deployment, name, now_s, sleep).look()
