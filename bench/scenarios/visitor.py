"""The base of all scenarios: one visitor who joins, waits and is admitted."""

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
"""198.18.0.0/15 is reserved for tests (RFC 2544): no real visitor has such an address."""

_POLLS_PER_HEARTBEAT = 2


class Visitor(FastHttpUser):
    """A Locust user that acts as one visitor after another, each with its own address and user id."""

    abstract = True
    network_timeout = 30.0
    connection_timeout = 30.0

    token = ""
    session_token = ""
    interval_s = 10.0
    """Seconds between heartbeats that the server requests."""
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
        """Path of the session's calls. There must be a session."""
        return f"/api/v1/sessions/{quote(str(claims_of(self.session_token).get('sub', '')), safe='')}"

    def join(self) -> Answer:
        """Start as a new visitor, and try to join until there is a place or a session."""
        address = IPv4Address(_BENCHMARK_NETWORK + random.randrange(_BENCHMARK_ADDRESSES))  # noqa: S311
        self._headers = {"X-Forwarded-For": str(address), "User-Agent": "wr-bench"}
        self.token = self.session_token = ""
        # The same key for every try: a join whose answer was lost then leaves no second place.
        key = {"Idempotency-Key": str(uuid.uuid4())}
        newcomer = {"priority": 0, "metadata": {"user_id": str(uuid.uuid4())}}
        while True:
            answer = self.ask(ENQUEUE, f"{self.queue_path}/enqueue", json=newcomer, more=key)
            if self.token:
                return answer

    def poll(self) -> Answer:
        """Ask for the status."""
        return self.ask(STATUS, f"{self.queue_path}/status", self.token)

    def beat(self) -> Answer:
        """Send a heartbeat."""
        return self.ask(HEARTBEAT, f"{self.queue_path}/heartbeat", self.token, json={"client_id": "wr-bench"})

    def leave(self) -> Answer:
        """Give up the place or session, so that another visitor gets in."""
        return self.ask(LEAVE, f"{self.queue_path}/position", self.token)

    def wait_in_line(self) -> bool:
        """Poll, and send heartbeats as requested, until admitted. False if the place was lost."""
        while True:
            for ask in (*[self.poll] * _POLLS_PER_HEARTBEAT, self.beat):
                # Random pauses, so that visitors who joined together do not poll together.
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
        """Send one request, report it to Locust, keep the tokens in its answer, and note its Retry-After.

        `more` are additional headers.

        A refusal that the contract allows is not a failure: it is reported under a separate name.
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
        """Wait as long as the answer requests, or for the usual time after a fault."""
        if answer.pause_s:
            gevent.sleep(answer.pause_s)

    def _keep(self, body: dict[str, Any]) -> None:
        self.token = body.get("token") or self.token
        self.session_token = body.get("session_token") or self.session_token
        interval_s = body.get("next_heartbeat_seconds") or body.get("heartbeat_interval_seconds")
        self.interval_s = float(interval_s or self.interval_s)
