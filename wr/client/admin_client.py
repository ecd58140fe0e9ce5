"""HTTP to the admin API of a running server, for the commands that work beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from wr.api.blocks.messages import BlockEndedResponse, BlockListResponse
from wr.api.error_messages import ErrorResponse
from wr.api.operators.audit_messages import AuditResponse
from wr.api.operators.key_messages import KeyListResponse
from wr.api.operators.people_messages import FoundPositionResponse, FoundSessionResponse
from wr.api.operators.queue_messages import (
    DeleteQueueResponse,
    FlushResponse,
    QueueListResponse,
    QueueResponse,
    StatsResponse,
)
from wr.api.operators.session_messages import TerminateResponse
from wr.api.operators.silence_messages import SilentResponse
from wr.api.passes.messages import IssuedPassesResponse, RevokedPassResponse
from wr.api.webhooks.messages import (
    ChangedWebhookResponse,
    DeadLetterGoneResponse,
    DeadLetterListResponse,
    DeleteWebhookResponse,
    NewWebhookResponse,
    WebhookListResponse,
)

if TYPE_CHECKING:
    from wr.client.http_exchange import HttpAnswer

ADMIN_PATH = "/api/v1/admin"
ADMIN_KEY_FILE = "admin-key"
DEFAULT_URL = "http://127.0.0.1:8080"
_KEY_REFUSED = "FORBIDDEN"
_CONNECT_S = 5.0
_ANSWER_S = 60.0
"""For each part of an answer: flushing a queue of a million takes a while."""

Message = TypeVar("Message", bound=msgspec.Struct)


class AdminFailure(Exception):
    """A call that did not do what was asked; the message is one line that says why and what to do.

    `may_pass` tells whether the same call may well succeed a little later, and `retry_after_s` after how many
    seconds, 0 where the server did not say.
    """

    def __init__(self, message: str, *, may_pass: bool = False, retry_after_s: int = 0) -> None:
        super().__init__(message)
        self.may_pass = may_pass
        self.retry_after_s = retry_after_s


class AdminKey(NamedTuple):
    """An admin key and where it was found; empty, with where it was looked for, when there is none."""

    value: str
    source: str


def find_admin_key(given: str, data_dir: Path) -> AdminKey:
    """Take the key that was given, else the one that a server on this machine keeps in its data folder."""
    if given:
        return AdminKey(given, "--admin-key or WR_ADMIN_KEY")
    path = data_dir / ADMIN_KEY_FILE
    try:
        return AdminKey(path.read_text().strip(), str(path))
    except FileNotFoundError:
        # Whether a key is missed is for the server to say: it may not even be there.
        return AdminKey("", str(path))
    except OSError as error:
        return AdminKey("", f"{path} ({error.strerror})")


class AdminClient:
    """The admin API, one method for each call. All raise `AdminFailure`, after at most about a minute."""

    def __init__(self, url: str, key: AdminKey, operator: str = "") -> None:
        """Speak to the server at `url`; a path in it stands before every path of the API.

        `operator` is who the server's audit trail names for what is changed; nobody if it is empty.

        Raises:
            ValueError: it is not an http or https URL, or the key cannot be sent.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"'{url}' is not an http or https URL")
        if not key.value.isascii() or not key.value.isprintable():
            raise ValueError(f"the admin key from {key.source} has characters that no header can carry")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        port = "" if parts.port is None else f":{parts.port}"
        self.url = f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"
        self._key = key
        self._operator = operator

    def create_queue(self, settings: dict[str, object]) -> QueueResponse:
        """Create a queue; what `settings` leaves out gets the server's default."""
        return self._call("POST", "/queues", QueueResponse, settings)

    def queues(self) -> QueueListResponse:
        """List every queue with its figures."""
        return self._call("GET", "/queues", QueueListResponse)

    def queue(self, queue_id: str) -> QueueResponse:
        """Read a queue's settings."""
        return self._call("GET", _queue_path(queue_id), QueueResponse)

    def update_queue(self, queue_id: str, changes: dict[str, object]) -> QueueResponse:
        """Change settings of a queue; what `changes` leaves out stays."""
        return self._call("PATCH", _queue_path(queue_id), QueueResponse, changes)

    def delete_queue(self, queue_id: str) -> DeleteQueueResponse:
        """Delete a queue and everyone in it."""
        return self._call("DELETE", _queue_path(queue_id), DeleteQueueResponse)

    def stats(self, queue_id: str) -> StatsResponse:
        """Read a queue's figures."""
        return self._call("GET", _queue_path(queue_id, "/stats"), StatsResponse)

    def silent(self, queue_id: str, timeout_s: int) -> SilentResponse:
        """Read how many a heartbeat timeout of so many seconds would cost."""
        return self._call(
            "GET", _queue_path(queue_id, f"/silent?timeout_seconds={timeout_s}"), SilentResponse
        )

    def flush(self, queue_id: str) -> FlushResponse:
        """Send away everyone who waits."""
        return self._call("POST", _queue_path(queue_id, "/flush"), FlushResponse)

    def keys(self) -> KeyListResponse:
        """List the signing keys."""
        return self._call("GET", "/keys", KeyListResponse)

    def rotate_keys(self) -> KeyListResponse:
        """Make new signing keys; returns those."""
        return self._call("POST", "/keys/rotate", KeyListResponse)

    def audit(self, *, queue_id: str, limit: int) -> AuditResponse:
        """Read who changed what, newest first; of one queue unless `queue_id` is empty."""
        query = urlencode({"queue_id": queue_id, "limit": limit})
        return self._call("GET", f"/audit?{query}", AuditResponse)

    def find_position(self, position_id: str) -> FoundPositionResponse:
        """Find a place in line, or what became of it."""
        return self._call("GET", f"/positions/{quote(position_id, safe='')}", FoundPositionResponse)

    def find_session(self, session_id: str) -> FoundSessionResponse:
        """Find a session, or how it ended."""
        return self._call("GET", f"/sessions/{quote(session_id, safe='')}", FoundSessionResponse)

    def issue_passes(self, queue_id: str, wish: dict[str, object]) -> IssuedPassesResponse:
        """Sign passes for a queue, at most 1,000; what `wish` leaves out gets the server's default."""
        return self._call("POST", _queue_path(queue_id, "/passes"), IssuedPassesResponse, wish)

    def revoke_pass(self, queue_id: str, wish: dict[str, object]) -> RevokedPassResponse:
        """Take a pass back, and end the place or session that it gave last."""
        return self._call("POST", _queue_path(queue_id, "/passes/revoke"), RevokedPassResponse, wish)

    def blocks(self, queue_id: str) -> BlockListResponse:
        """List what is kept from joining a queue, and until when."""
        return self._call("GET", _queue_path(queue_id, "/blocks"), BlockListResponse)

    def add_block(self, queue_id: str, wish: dict[str, object]) -> BlockListResponse:
        """Keep an address, a user id or both from joining a queue for a while; returns the new blocks."""
        return self._call("POST", _queue_path(queue_id, "/blocks"), BlockListResponse, wish)

    def end_block(self, queue_id: str, block_id: str) -> BlockEndedResponse:
        """End a block: what it kept out may join again."""
        path = _queue_path(queue_id, f"/blocks/{quote(block_id, safe='')}")
        return self._call("DELETE", path, BlockEndedResponse)

    def end_session(self, session_id: str, wish: dict[str, object]) -> TerminateResponse:
        """End a session; `wish` may say why, and for how long its visitor is kept out."""
        return self._call("DELETE", f"/sessions/{quote(session_id, safe='')}", TerminateResponse, wish)

    def add_webhook(self, *, url: str, events: Sequence[str], queue_id: str) -> NewWebhookResponse:
        """Have events posted to a URL; of one queue unless `queue_id` is empty."""
        wish: dict[str, object] = {"url": url, "events": list(events), "queue_id": queue_id}
        return self._call("POST", "/webhooks", NewWebhookResponse, wish)

    def webhooks(self) -> WebhookListResponse:
        """List the webhooks."""
        return self._call("GET", "/webhooks", WebhookListResponse)

    def change_webhook(self, webhook_id: str, changes: dict[str, object]) -> ChangedWebhookResponse:
        """Change a webhook; what `changes` leaves out stays."""
        path = f"/webhooks/{quote(webhook_id, safe='')}"
        return self._call("PATCH", path, ChangedWebhookResponse, changes)

    def delete_webhook(self, webhook_id: str) -> DeleteWebhookResponse:
        """Delete a webhook."""
        return self._call("DELETE", f"/webhooks/{quote(webhook_id, safe='')}", DeleteWebhookResponse)

    def dead_letters(self, *, webhook_id: str) -> DeadLetterListResponse:
        """List the deliveries that were given up, newest first; of all webhooks unless one is named."""
        query = urlencode({"webhook_id": webhook_id} if webhook_id else {})
        return self._call("GET", f"/webhooks/dead-letters?{query}", DeadLetterListResponse)

    def retry_delivery(self, letter_id: str) -> DeadLetterGoneResponse:
        """Try a delivery anew that was given up."""
        path = f"/webhooks/dead-letters/{quote(letter_id, safe='')}/retry"
        return self._call("POST", path, DeadLetterGoneResponse)

    def discard_delivery(self, letter_id: str) -> DeadLetterGoneResponse:
        """Forget a delivery that was given up."""
        path = f"/webhooks/dead-letters/{quote(letter_id, safe='')}"
        return self._call("DELETE", path, DeadLetterGoneResponse)

    def _call(
        self, method: str, path: str, kind: type[Message], body: dict[str, object] | None = None
    ) -> Message:
        answer = self._exchange(method, path, body)
        if answer.status in (200, 201):
            message = answer.read(kind)
            if message is not None:
                return message
        else:
            refusal = answer.read(ErrorResponse)
            if refusal is not None:
                raise self._refused(answer, refusal)
        raise AdminFailure(
            f"what answers at {self.url} (status {answer.status}) is no wr server: "
            "say with --url or WR_URL where one is"
        )

    def _exchange(self, method: str, path: str, body: dict[str, object] | None) -> "HttpAnswer":
        # Loaded with the first call: `wr --help` makes none, and needs neither httpcore nor its memory.
        from wr.client.http_exchange import NoAnswer, NoSecureConnection, Patience, exchange

        headers = {"X-Admin-Key": self._key.value, "Accept": "application/json", "User-Agent": "wr"}
        if self._operator:
            headers["X-Operator"] = quote(self._operator, safe="@ ")
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            return exchange(
                self.url + ADMIN_PATH + path,
                patience=Patience(_CONNECT_S, _ANSWER_S),
                method=method,
                headers=headers,
                body=None if body is None else msgspec.json.encode(body),
            )
        except NoSecureConnection as error:
            raise AdminFailure(f"no secure connection to {self.url}: {error}") from error
        except NoAnswer as error:
            raise AdminFailure(
                f"no server answers at {self.url} ({error}): start one with `wr serve`, "
                "or say with --url or WR_URL where it is",
                may_pass=True,
            ) from error

    def _refused(self, answer: "HttpAnswer", envelope: ErrorResponse) -> AdminFailure:
        message = envelope.error.message
        is_key_refused = envelope.error.code == _KEY_REFUSED
        if is_key_refused and not self._key.value:
            return AdminFailure(
                f"an admin key is needed: give --admin-key or WR_ADMIN_KEY, or the server's --data-dir; "
                f"there is none in {self._key.source}"
            )
        if is_key_refused:
            return AdminFailure(
                f"the server at {self.url} refuses the admin key from {self._key.source}: "
                f"the right one is in {ADMIN_KEY_FILE} in its data folder, or what its own WR_ADMIN_KEY says"
            )
        facts: dict[str, Any] = envelope.error.details or {}
        field = facts.get("field")
        if field and field not in message:
            message = f"{field}: {message}"
        pause = answer.header("retry-after")
        if pause:
            message = f"{message}; ask again in {pause} s"
        return AdminFailure(
            message,
            may_pass=bool(pause),
            retry_after_s=int(pause) if pause.isascii() and pause.isdigit() else 0,
        )


def _queue_path(queue_id: str, rest: str = "") -> str:
    return f"/queues/{quote(queue_id, safe='')}{rest}"
