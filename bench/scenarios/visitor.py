"""One visitor who comes, waits and is let in: what all scenarios are made of."""

import random
import uuid
from collections.abc import Mapping
from ipaddress import IPv4Address
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import gevent
from locust import FastHttpUser

from bench.scenarios.contract import (
    ENQUEUE,
    HEARTBEAT,
    LEAVE,
    STATUS,
    Answer,
    Call,
    claims_of,
    unanswered,
    understood,
)

_BENCHMARK_NETWORK = int(IPv4Address("198.18.0.0"))
_BENCHMARK_ADDRESSES = 2**17
"""198.18.0.0/15 is set aside for tests like this (RFC 2544): no real visitor has such an address."""

_POLLS_PER_HEARTBEAT = 2


class Visitor(FastHttpUser):
    """A Locust user who plays one visitor after another, each with an address and a user id of their own."""

    abstract = True
    network_timeout = 30.0
    connection_timeout = 30.0

    token = ""
    session_token = ""
    interval_s = 10.0
    """How often the server wants heartbeats."""
    _headers: dict[str, str]

    @property
    def queue_id(self) -> str:
        """The queue to join: Locust's option --queue."""
        options = self.environment.parsed_options
        return str(options.queue) if options else "demo"

    @property
    def queue_path(self) -> str:
        """Path of the queue's calls."""
        return f"/api/v1/queues/{quote(self.queue_id, safe='')}"

    @property
    def session_path(self) -> str:
        """Path of the session's calls; there must be one."""
        return f"/api/v1/sessions/{quote(str(claims_of(self.session_token).get('sub', '')), safe='')}"

    def join(self) -> Answer:
        """Come as somebody new, and try until there is a place in line, or inside."""
        address = IPv4Address(_BENCHMARK_NETWORK + random.randrange(_BENCHMARK_ADDRESSES))  # noqa: S311
        self._headers = {"X-Forwarded-For": str(address), "User-Agent": "wr-bench"}
        self.token = self.session_token = ""
        # The same for every try, so that a join whose answer was lost leaves no place behind.
        key = {"Idempotency-Key": str(uuid.uuid4())}
        newcomer = {"priority": 0, "metadata": {"user_id": str(uuid.uuid4())}}
        while True:
            answer = self.ask(ENQUEUE, f"{self.queue_path}/enqueue", json=newcomer, more=key)
            if self.token:
                return answer

    def poll(self) -> Answer:
        """Ask where one stands."""
        return self.ask(STATUS, f"{self.queue_path}/status", self.token)

    def beat(self) -> Answer:
        """Show that one is still there."""
        return self.ask(HEARTBEAT, f"{self.queue_path}/heartbeat", self.token, json={"client_id": "wr-bench"})

    def leave(self) -> Answer:
        """Give up the place, or the session: somebody else gets in."""
        return self.ask(LEAVE, f"{self.queue_path}/position", self.token)

    def wait_in_line(self) -> bool:
        """Poll, and beat as often as the server asks for it, until let in; False when the place was lost."""
        while True:
            for ask in (*[self.poll] * _POLLS_PER_HEARTBEAT, self.beat):
                # People who came at one instant do not stay in step.
                gevent.sleep(self.interval_s / (_POLLS_PER_HEARTBEAT + 1) * random.uniform(0.7, 1.3))  # noqa: S311
                answer = ask()
                if answer.is_admitted or answer.is_lost:
                    return answer.is_admitted

    def ask(
        self,
        call: Call,
        path: str,
        token: str = "",
        json: Any = None,
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> Answer:
        """Ask once, report it to Locust, keep the tokens that the answer brings, and heed its Retry-After.

        `more` are headers beside the visitor's own.

        A refusal that the contract has is no failure: it is reported under a name of its own.
        """
        headers = {**self._headers, **more, **({"Authorization": f"Bearer {token}"} if token else {})}
        with self.client.request(
            call.method, path, name=call.name, headers=headers, json=json, catch_response=True
        ) as response:
            if response.status_code:
                retry_after = str((response.headers or {}).get("retry-after", ""))
                answer = understood(call, response.status_code, response.content or b"", retry_after)
            else:
                answer = unanswered(response.error)
            if answer.refusal:
                response.request_meta["name"] = f"{call.name} {answer.refusal}"
            if answer.fault:
                response.failure(answer.fault)
            else:
                response.success()
        if not answer.fault and not answer.refusal:
            self._keep(answer.body)
        self.pause(answer)
        return answer

    def pause(self, answer: Answer) -> None:
        """Wait as long as the answer asks for, or as one does after a fault."""
        if answer.pause_s:
            gevent.sleep(answer.pause_s)

    def _keep(self, body: dict[str, Any]) -> None:
        self.token = body.get("token") or self.token
        self.session_token = body.get("session_token") or self.session_token
        interval_s = body.get("next_heartbeat_seconds") or body.get("heartbeat_interval_seconds")
        self.interval_s = float(interval_s or self.interval_s)
