"""Scenario: visitors wait on a WebSocket, and the server sends updates."""

import json
import time
from typing import Any
from urllib.parse import quote

import websocket
from locust import task

from bench.scenarios.contract import STREAM, Answer, claims_of, unanswered, understood
from bench.scenarios.visitor import Visitor

_SILENCE_S = 60.0
"""Seconds within which a server pings several times; a stream without data for that long is dead."""
_RESTARTING = 1012


class StreamFault(Exception):
    """The stream behaved wrongly; the message says how."""


class Live(Visitor):
    """Joins, waits on a WebSocket until admitted, then starts again as a new visitor.

    Reported as requests of type WS: `open` (milliseconds of the handshake), `position_update` (counted only),
    `admitted` (milliseconds from the admission, as the session token tells it, to its message: true as far
    as the two clocks agree) and `closed` (what went wrong).
    """

    @task
    def watch(self) -> None:
        """Wait for admission. If the server closes the stream to restart, open another."""
        is_waiting = not self.join().is_admitted
        while is_waiting:
            is_waiting = self._watch_one_stream()
        if self.session_token:
            self.leave()

    def _watch_one_stream(self) -> bool:
        """Read until the stream ends; returns whether the visitor still waits."""
        stream, answer = self._open()
        if stream is None:
            self.pause(answer)
            return not answer.is_lost
        try:
            while (message := _next_message(stream)) is not None:
                if not self._is_still_waiting(message):
                    return False
        except StreamFault as fault:
            self._report("closed", None, fault)
            self.pause(unanswered(fault))
        finally:
            stream.shutdown()
        return True

    def _open(self) -> tuple[websocket.WebSocket | None, Answer]:
        """Open a stream, or report why it cannot be opened."""
        base = f"ws{str(self.host).rstrip('/').removeprefix('http')}"
        headers = {**self._headers, "Authorization": f"Bearer {self.token}"}
        begun_s = time.perf_counter()
        try:
            stream = websocket.create_connection(
                f"{base}/ws/queues/{quote(self.queue_id, safe='')}", timeout=_SILENCE_S, header=headers
            )
        except websocket.WebSocketBadStatusException as error:
            retry_after = (error.resp_headers or {}).get("retry-after", "")
            stream, answer = None, understood(STREAM, error.status_code, error.resp_body or b"", retry_after)
        except (websocket.WebSocketException, OSError) as error:
            stream, answer = None, unanswered(error)
        else:
            answer = Answer(101, {})
        name = f"open {answer.refusal}" if answer.refusal else "open"
        fault = StreamFault(answer.fault) if answer.fault else None
        self._report(name, (time.perf_counter() - begun_s) * 1000, fault)
        return stream, answer

    def _is_still_waiting(self, message: dict[str, Any]) -> bool:
        """Report a message.

        Raises:
            StreamFault: it is none that the contract has.
        """
        kind, data = message.get("type"), message.get("data")
        if not isinstance(data, dict):
            raise StreamFault(f"a message without data: {str(message)[:80]}")
        if kind == "position_update":
            self._report(kind, None)
            return True
        if kind == "token":
            self._keep(data)
            return True
        if kind == "admitted":
            self._keep(data)
            try:
                since_ms = time.time() * 1000 - claims_of(self.session_token)["admitted_ms"]
            except (ValueError, KeyError) as error:
                raise StreamFault(
                    f"admitted without a readable time in the session token: {error!r}"
                ) from error
            self._report(kind, max(0.0, since_ms))
            return False
        if kind == "expired" and data.get("reason") != "heartbeat_timeout":
            self._report(f"expired {data.get('reason')}", None)
            return False
        if kind == "expired":
            raise StreamFault("expired without heartbeats, although an open stream counts as one")
        raise StreamFault(f"a message of no known type: {str(message)[:80]}")

    def _report(self, name: str, response_time_ms: float | None, fault: StreamFault | None = None) -> None:
        self.environment.events.request.fire(
            request_type="WS",
            name=name,
            response_time=response_time_ms,
            response_length=0,
            exception=fault,
            context=self.context(),
        )


def _next_message(stream: websocket.WebSocket) -> dict[str, Any] | None:
    """Wait for a message; None if the server closes in order to restart.

    Raises:
        StreamFault: the stream is dead, or brings what is no message.
    """
    try:
        opcode, data = stream.recv_data()
    except websocket.WebSocketTimeoutException as error:
        raise StreamFault(f"no data for {_SILENCE_S:.0f} s, not even a ping") from error
    except (websocket.WebSocketException, OSError) as error:
        raise StreamFault(f"the connection was lost: {error}") from error
    if opcode == websocket.ABNF.OPCODE_CLOSE:
        code = int.from_bytes(data[:2], "big")
        if code == _RESTARTING:
            return None
        raise StreamFault(f"the server closed it with {code or 'no code'}")
    try:
        message = json.loads(data)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise StreamFault(f"a message that is not a JSON object: {data[:80]!r}")
    return message
