"""What Schemathesis is told beside the document: who calls, and of what. It loads this module by its name.

A request made from a document alone names queues that are not there and brings tokens that are none, so that
nearly every answer would be a refusal. Here the sound ones among the requests get a queue, a session or a
webhook that is really there, and the credentials for it, so that the operation behind the route runs.
Requests that are wrong on purpose keep what is wrong about them.

It is loaded in a process of its own: Schemathesis changes parts of Hypothesis when it is imported, and other
tests' reports of failing examples would be empty.
"""

import atexit
import itertools
import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import schemathesis
from schemathesis.core.failures import Failure
from schemathesis.core.parameters import ParameterLocation

from tests.support import plain_http

BASE = "/api/v1"
PATIENCE_S = 20.0
"""To be let in takes two passes of 20 ms; the rest is for a machine that others use too."""

DOCUMENTED_503 = {"QUEUE_FULL", "MAINTENANCE_MODE"}
"""What a server whose store works may answer with 503."""
_ENDS_A_SESSION = {"end_session", "terminate_session", "session_command"}
_ENDS_A_PLACE = {"cancel"}
_JOINS = {"enqueue", "join_concert"}
_AT_THE_GATE = {"gate", "origin_command"}
_LETTERS = 40
NOTHING = {
    "queue_id": "nowhere",
    "session_id": "00000000-0000-8000-8000-000000000001",
    "position_id": "00000000-0000-4000-8000-000000000001",
    "webhook_id": "00000000-0000-4000-8000-000000000001",
    "block_id": "00000000-0000-4000-8000-000000000001",
    "dead_letter_id": "1-0.00000000-0000-4000-8000-000000000001",
}
"""Ids of the form that such ids have, of what is not there."""
_OF_NOTHING, _AS_MADE = 3, 4


class Scene:
    """Queues, visitors and webhooks of one server, made again where a call has ended them."""

    def __init__(self, url: str, admin_key: str) -> None:
        self._http = plain_http.client(base_url=url, timeout=PATIENCE_S)
        self._operator = {"X-Admin-Key": admin_key}
        self._addresses = itertools.count(1)
        self._turns: dict[str, itertools.count[int]] = {}
        self._kept: dict[str, tuple[str, str]] = {}
        self._letters: list[str] = []
        for queue_id, settings in {
            "held": {"status": "paused"},
            "open": {"admission_rate": 1000, "session_timeout_seconds": 3600},
            "closed": {"status": "maintenance"},
            "full": {"status": "paused", "max_queue_size": 0},
            "concert-1": {},
        }.items():
            self.make_queue(queue_id, **settings)

    def turn(self, name: str) -> int:
        """Count the turns of something, from 0."""
        return next(self._turns.setdefault(name, itertools.count()))

    def new_address(self) -> str:
        """An address that no other visitor has."""
        number = next(self._addresses)
        return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"

    def make_queue(self, queue_id: str, **settings: Any) -> str:
        """Make a queue unless it is there."""
        body = {"id": queue_id, "target_url": "https://shop.example/", **settings}
        answer = self._http.post(f"{BASE}/admin/queues", json=body, headers=self._operator)
        assert answer.status_code in (201, 409), answer.text
        return queue_id

    def delete(self, path: str) -> None:
        """Delete what a call has made."""
        self._http.delete(f"{BASE}/admin{path}", headers=self._operator)

    def place(self, queue_id: str) -> tuple[str, str]:
        """Join a queue; returns the id and the token of the place."""
        headers = {"X-Forwarded-For": self.new_address()}
        answer = self._http.post(f"{BASE}/queues/{queue_id}/enqueue", headers=headers)
        assert answer.status_code == 201, answer.text
        return answer.json()["position_id"], answer.json()["token"]

    def session(self) -> tuple[str, str]:
        """Be let in; returns the id and the token of the session."""
        _, token = self.place("open")
        deadline = time.monotonic() + PATIENCE_S
        while True:
            headers = {"Authorization": f"Bearer {token}"}
            answer = self._http.get(f"{BASE}/queues/open/status", headers=headers).json()
            if answer["status"] == "admitted":
                claims = jwt.decode(answer["session_token"], options={"verify_signature": False})
                return claims["sub"], answer["session_token"]
            assert time.monotonic() < deadline, "the queue lets nobody in"

    def kept(self, name: str, make: Callable[[], tuple[str, str]], *, is_ended: bool) -> tuple[str, str]:
        """Give what was made before; something new if this call ends it, or if there is none yet."""
        if is_ended:
            return make()
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    def forget(self) -> None:
        """Some of what was kept is over: an id that stood in an earlier answer was used again."""
        self._kept.clear()

    def webhook(self) -> tuple[str, str]:
        """Add a webhook that nothing can be delivered to; returns its id and the empty text."""
        body = {"url": "http://127.0.0.1:9/", "events": ["*"], "queue_id": "lettered"}
        answer = self._http.post(f"{BASE}/admin/webhooks", json=body, headers=self._operator)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"], ""

    def block(self, queue_id: str) -> str:
        """Keep an address that nobody comes from out of a queue; returns the id of the block."""
        path = f"{BASE}/admin/queues/{queue_id}/blocks"
        answer = self._http.post(path, json={"address": self.new_address()}, headers=self._operator)
        assert answer.status_code == 201, answer.text
        return answer.json()["blocks"][0]["id"]

    def letter(self) -> str:
        """Find a delivery that was given up; makes some if none is left."""
        if not self._letters:
            self.make_queue("lettered", status="paused")
            webhook_id, _ = self.webhook()
            for _ in range(_LETTERS):
                self.place("lettered")
            deadline = time.monotonic() + PATIENCE_S
            path = f"{BASE}/admin/webhooks/dead-letters?webhook_id={webhook_id}"
            while len(self._letters) < _LETTERS:
                assert time.monotonic() < deadline, "the deliveries are not given up"
                answer = self._http.get(path, headers=self._operator).json()
                self._letters = [letter["id"] for letter in answer["dead_letters"]]
        return self._letters.pop()


urls = os.environ["WR_SCENE_URLS"].split()
"""The servers of one room, which take turns."""
statuses: defaultdict[str, Counter[int]] = defaultdict(Counter)


@atexit.register
def report() -> None:
    """Write down how often each operation gave which status."""
    Path(os.environ["WR_SCENE_REPORT"]).write_text(json.dumps(statuses))


@cache
def the_scene() -> Scene:
    """The scene, which is set when the first request is made."""
    return Scene(urls[0], os.environ["WR_SCENE_ADMIN_KEY"])


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Give a sound request something real to name, and the credentials for it.

    Of five, one names what is not there, and one keeps the ids and credentials that it was made with.
    """
    scene = the_scene()
    operation = case.operation.definition.raw
    name = operation["operationId"]
    case.operation.base_url = urls[scene.turn("server") % len(urls)] + urlsplit(case.operation.base_url).path
    schemes = {scheme for option in operation["security"] for scheme in option}
    if name in _JOINS:
        case.headers["X-Forwarded-For"] = scene.new_address()
    if case.method.upper() != case.operation.method.upper():
        return
    turn = scene.turn(name) % 5
    if turn == _AS_MADE:
        return
    if schemes & {"AdminKey", "OriginKey"}:
        case.headers["X-Admin-Key"] = os.environ["WR_SCENE_ADMIN_KEY"]
    if case.path_parameters and _is_sound(case, ParameterLocation.PATH):
        token = _name_something_real(scene, name, case)
        if turn == _OF_NOTHING:
            case.path_parameters.update({each: NOTHING[each] for each in case.path_parameters})
        if token and "BearerAuth" in schemes:
            case.headers["Authorization"] = f"Bearer {token}"
    if name in _AT_THE_GATE:
        # Whom the gate knows it knows by a cookie, and what is to be done with a session stands in a header.
        _, token = scene.kept("visit", scene.session, is_ended=False)
        case.headers["Cookie"] = f"wr_session-open={token}"
        case.headers["X-WR-Command"] = "extend=600"
    if name in ("concert_status", "concert_feed") and _is_sound(case, ParameterLocation.QUERY):
        case.query["concertId"] = 1
    if name == "join_concert" and _is_sound(case, ParameterLocation.BODY) and isinstance(case.body, dict):
        case.body = {**case.body, "concertId": 1}


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Remove what the call has made: each pass of admission would go on looking after it."""
    scene = the_scene()
    name = case.operation.definition.raw["operationId"]
    statuses[name][response.status_code] += 1
    if response.status_code == 410:
        scene.forget()
    if response.status_code == 201 and name == "create_queue":
        scene.delete(f"/queues/{response.json()['id']}")
    if response.status_code == 201 and name == "add_webhook":
        scene.delete(f"/webhooks/{response.json()['id']}")


@schemathesis.check
def only_documented_faults(ctx: Any, response: Any, case: Any) -> None:
    """The store works, so that a 5xx is a fault, save for a queue that is full or closed."""
    if response.status_code < 500:
        return
    code = response.json()["error"]["code"]
    if response.status_code != 503 or code not in DOCUMENTED_503:
        raise Failure(
            operation=case.operation.label,
            title="Fault of the server",
            message=f"{response.status_code} {code}",
        )


def _is_sound(case: Any, location: ParameterLocation) -> bool:
    """Whether a part of the request was made as the document says."""
    part = case.meta.components.get(location) if case.meta else None
    return part is None or part.mode.is_positive


def _name_something_real(scene: Scene, name: str, case: Any) -> str:
    """Put ids of what is there into the path; returns the token for it, or the empty text."""
    turn = scene.turn("real")
    parameters = case.path_parameters
    token = ""
    if "session_id" in parameters:
        parameters["session_id"], token = scene.kept(
            "session", scene.session, is_ended=name in _ENDS_A_SESSION
        )
    elif "position_id" in parameters:
        parameters["position_id"], _ = scene.kept("position", lambda: scene.place("held"), is_ended=False)
    elif "webhook_id" in parameters:
        parameters["webhook_id"], _ = scene.kept("webhook", scene.webhook, is_ended=name == "delete_webhook")
    elif "dead_letter_id" in parameters:
        parameters["dead_letter_id"] = scene.letter()
    elif name in _AT_THE_GATE:
        parameters["queue_id"] = "open"
    elif "/admin/" in case.operation.path:
        parameters["queue_id"] = scene.make_queue("changed")
        if "block_id" in parameters:
            parameters["block_id"] = scene.block("changed")
    elif name == "enqueue":
        parameters["queue_id"] = ("held", "open", "closed", "full")[turn % 4]
    else:
        queue_id = ("held", "open")[turn % 2]
        parameters["queue_id"] = queue_id
        _, token = scene.kept(queue_id, lambda: scene.place(queue_id), is_ended=name in _ENDS_A_PLACE)
    return token
