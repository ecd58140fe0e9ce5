"""The OpenAPI document: sound, complete, and true of what the server answers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from openapi_spec_validator import OpenAPIV30SpecValidator

from tests.conftest import TEST_SETTINGS
from tests.contract.conftest import Stranded, running_site
from tests.contract.helpers import (
    LIMIT_HEADERS,
    Visit,
    claims_of,
    enter,
    fresh_minute,
    open_queue,
    position_token,
    session_token,
    terminate,
    waiting,
)
from tests.support.site import BASE, Site, new_address
from wr.api.openapi import openapi_document

DOCUMENT = openapi_document()
CONTRACT = yaml.safe_load(Path(__file__).with_name("contract_openapi.yaml").read_text("utf-8"))
WAITS = {"heartbeat_timeout_seconds": 604_800}

# The tables «Status Codes» of the contract, and what its table of error codes adds to each.
STATUS_CODES = {
    ("get", "/health"): {200, 503},
    ("post", "/queues/{queue_id}/enqueue"): {200, 201, 400, 429, 503},
    ("get", "/queues/{queue_id}/status"): {200, 401, 404, 410, 429},
    ("post", "/queues/{queue_id}/heartbeat"): {200, 401, 410, 429},
    ("delete", "/queues/{queue_id}/position"): {200, 401, 404},
    ("get", "/sessions/{session_id}"): {200, 401, 404, 410},
    ("post", "/sessions/{session_id}/activity"): {200, 401, 410, 429},
    ("post", "/admin/queues"): {201, 400, 403, 409, 429},
    ("patch", "/admin/queues/{queue_id}"): {200, 400, 403, 404, 429},
    ("get", "/admin/queues/{queue_id}/stats"): {200, 403, 404, 429},
    ("delete", "/admin/sessions/{session_id}"): {200, 403, 404, 429},
}


def test_the_document_is_sound_openapi_3_0_3(site: Site) -> None:
    document = site.http.get(f"{BASE}/openapi.json").json()
    assert document["openapi"] == "3.0.3"
    assert [str(error) for error in OpenAPIV30SpecValidator(document).iter_errors()] == []


def test_the_document_that_is_served_is_the_one_made_from_the_route_table(site: Site) -> None:
    response = site.http.get(f"{BASE}/openapi.json")
    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == DOCUMENT


def missing(said: Any, found: Any, where: str = "") -> Iterator[str]:
    """List what the contract's block says and the document does not."""
    if isinstance(said, dict) and isinstance(said.get("type"), list):
        # Several types at once are no OpenAPI 3.0: there it is anyOf, in which an integer is a number too.
        kinds = {option["type"] for option in found.get("anyOf", [])}
        if not set(said["type"]) <= kinds <= {*said["type"], "integer"}:
            yield f"{where}: {said['type']} is not {sorted(kinds)}"
    elif isinstance(said, dict):
        if not isinstance(found, dict):
            yield f"{where}: {found!r} is no object"
            return
        for key, value in said.items():
            if key in found:
                yield from missing(value, found[key], f"{where}/{key}")
            else:
                yield f"{where}/{key} is missing"
    elif isinstance(said, list):
        for wanted in said:
            if not any(not list(missing(wanted, candidate)) for candidate in found):
                yield f"{where}: nothing matches {wanted!r}"
    elif said != found:
        yield f"{where}: {found!r} is not {said!r}"


def test_everything_that_the_contracts_own_block_says_is_in_the_document() -> None:
    assert list(missing(CONTRACT, DOCUMENT)) == []


@pytest.mark.parametrize(
    "lack",
    [
        lambda block: block["paths"].update({"/nowhere": {"get": {}}}),
        lambda block: block["components"]["schemas"]["EnqueueRequest"]["properties"]["priority"].update(
            maximum=4
        ),
        lambda block: block["components"]["schemas"]["EnqueueResponse"]["properties"]["status"].update(
            enum=["lost"]
        ),
        lambda block: block["components"]["schemas"]["EnqueueRequest"]["properties"]["metadata"][
            "additionalProperties"
        ].update(type=["string", "object"]),
        lambda block: block["servers"].append({"url": "https://elsewhere.example"}),
    ],
)
def test_the_comparison_with_the_contracts_block_sees_what_is_missing(lack: Callable[[Any], None]) -> None:
    block = yaml.safe_load(Path(__file__).with_name("contract_openapi.yaml").read_text("utf-8"))
    lack(block)
    assert len(list(missing(block, DOCUMENT))) == 1


@pytest.mark.parametrize(("method", "path"), STATUS_CODES)
def test_every_status_of_the_contracts_tables_is_documented(method: str, path: str) -> None:
    documented = {int(status) for status in DOCUMENT["paths"][path][method]["responses"]}
    assert STATUS_CODES[method, path] <= documented


def operations() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """List the operations of the API by name: method, path, description."""
    return {
        operation["operationId"]: (method.upper(), path, operation)
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
        if method != "servers"
    }


OPERATIONS = operations()
UNLIMITED = {"health", "jwks", "openapi", "event_schema", "queue_facts", "metrics", "session_command"}
UNLIMITED |= {"gate", "origin_command"}
LIMITED_BY_GUESSES = {"metrics", "session_command", "origin_command"}
BODIES: dict[str, Any] = {
    "enqueue": {"priority": 1, "metadata": {"user_id": "user-123"}},
    "heartbeat": {"timestamp": 1704067260000, "client_id": "browser"},
    "session_activity": {"action": "page_view", "page": "/checkout"},
    "create_queue": {"id": "documented", "target_url": "https://shop.example/checkout"},
    "update_queue": {"admission_rate": 20},
    "terminate_session": {"reason": "abuse_detected"},
    # Of a queue that never is: nothing is ever sent.
    "add_webhook": {"url": "http://127.0.0.1:9/", "events": ["queue.deleted"], "queue_id": "no-such-queue"},
    "change_webhook": {"events": ["queue.deleted"]},
    "session_command": {"command": "extend", "seconds": 600},
    "issue_passes": {"subject": "user-123", "priority": 3},
    "revoke_pass": {"pass_id": "never-seen"},
    "block": {"address": "203.0.113.200"},
}
QUERIES = {"silent": {"timeout_seconds": "60"}}
BAD_QUERIES = {"queue_history": {"span": "1h"}, "audit": {"limit": "0"}}
# Only a storm of changes by others at the same moment brings this one.
NOT_PROVOKED = {("update_queue", 409), ("change_webhook", 409)}
# In test_webhooks: they take many webhooks, or deliveries that fail.
PROVOKED_WITH_WEBHOOKS = {
    ("add_webhook", 409),
    ("change_webhook", 200),
    ("delete_webhook", 200),
    ("retry_dead_letter", 200),
    ("retry_dead_letter", 409),
    ("discard_dead_letter", 200),
}
# A wrong key is answered so after too many others: tests/hostile/test_shares.
PROVOKED_BY_GUESSES = {("session_command", 429)}
# Streams are no calls, and concerts' users are no visitors: test_websocket, test_events, test_waiting_queue.
# Who may read metrics has a test of its own: test_metrics. So has the gate: test_gate, test_gate_outage.
PROVOKED_ELSEWHERE = {
    "gate",
    "origin_command",
    "metrics",
    "queue_feed",
    "queue_feed_websocket",
    "concert_feed",
    "join_concert",
    "concert_status",
}
# Those that have nothing to do with what the route is for: tests/contract/test_letter.
PROVOKED_ON_EVERY_ROUTE = {405, 408, 431, 500, 501}
WITHOUT_STORE = {"jwks", "openapi", "event_schema"}


def may_be_wrong(name: str, operation: dict[str, Any]) -> bool:
    """Whether a sound request may be answered with 400."""
    return name in BODIES or name in BAD_QUERIES or {"AdminKey": []} in operation["security"]


CASES = [
    (name, int(status))
    for name, (_, _, operation) in OPERATIONS.items()
    for status in operation["responses"]
    if int(status) not in PROVOKED_ON_EVERY_ROUTE
    and name not in PROVOKED_ELSEWHERE
    and (int(status) != 400 or may_be_wrong(name, operation))
    and (int(status) != 503 or name not in WITHOUT_STORE)
    and (name, int(status)) not in NOT_PROVOKED | PROVOKED_WITH_WEBHOOKS | PROVOKED_BY_GUESSES
]


class Caller:
    """Calls an operation by its name, as the document describes it."""

    def __init__(self, site: Site, queue_id: str = "", visit: Visit | None = None, token: str = "") -> None:
        self.site = site
        self.queue_id = queue_id
        self.session_id = visit.session_id if visit else "0"
        self.position_id = visit.position_id if visit else "0"
        self.tokens = {"position": token, "session": visit.session_token if visit else ""}
        self.address = new_address()
        self.block_id = "a-00000000"

    def call(
        self,
        name: str,
        *,
        auth: bool = True,
        content: bytes | None = None,
        query: dict[str, str] | None = None,
        operator: str = "",
        origin_key: str = "",
    ) -> httpx.Response:
        method, path, operation = OPERATIONS[name]
        place = path.format(
            queue_id=self.queue_id,
            session_id=self.session_id,
            position_id=self.position_id,
            block_id=self.block_id,
            webhook_id="0",
            dead_letter_id="0-0.0",
        )
        base = "" if "servers" in DOCUMENT["paths"][path] else BASE
        headers = {"X-Forwarded-For": self.address}
        if origin_key:
            headers["X-WR-Origin-Key"] = origin_key
        schemes = {scheme for option in operation["security"] for scheme in option}
        # Where calls need no key, one makes a visitor's call the site's own.
        if auth and "AdminKey" in schemes and {} not in operation["security"]:
            headers |= {"X-Admin-Key": self.site.admin_key, "X-Operator": operator}
        token = self.tokens["session" if "{session_id}" in path else "position"]
        if auth and "BearerAuth" in schemes and token:
            headers["Authorization"] = f"Bearer {token}"
        body: dict[str, Any] = {}
        if content is not None:
            body = {"content": content}
            headers["Content-Type"] = "application/json"
        elif name in BODIES:
            body = {"json": BODIES[name]}
        return self.site.http.request(
            method, base + place, headers=headers, params=query or QUERIES.get(name), **body
        )


def caller_for(site: Site, name: str) -> Caller:
    """Set the scene in which the operation succeeds."""
    path = OPERATIONS[name][1]
    if "{session_id}" in path or "{position_id}" in path:
        return Caller(site, visit=enter(site, open_queue(site)))
    if "{queue_id}" in path:
        queue_id = site.make_queue(status="paused", **WAITS)
        token = waiting(site, queue_id) if "/admin/" not in path and name != "enqueue" else ""
        caller = Caller(site, queue_id, token=token)
        if name == "end_block":
            caller.block_id = caller.call("block").json()["blocks"][0]["id"]
        return caller
    return Caller(site)


def no_such_thing(site: Site, name: str) -> Caller:
    caller = caller_for(site, name)
    if name in ("enqueue", "queue_facts") or "/admin/queues" in OPERATIONS[name][1]:
        caller.queue_id = "no-such-queue"
    elif name == "find_position":
        caller.position_id = "0"
    elif name in ("terminate_session", "find_session", "session_command"):
        caller.session_id = claims_of(session_token(site, "any"))["sub"]
    elif name in ("session_status", "end_session", "session_activity", "heartbeat"):
        # A session or place is unknown to the second and third only together with its queue.
        token = session_token(site, "no-such-queue")
        caller.session_id = claims_of(token)["sub"]
        caller.queue_id = "no-such-queue"
        caller.tokens = {"session": token, "position": position_token(site, "no-such-queue")}
    else:
        caller.tokens["position"] = position_token(site, caller.queue_id)
    return caller


def no_more(site: Site, name: str) -> Caller:
    caller = caller_for(site, name)
    if "{session_id}" in OPERATIONS[name][1]:
        assert terminate(site, caller.session_id).status_code == 200
    else:
        caller.tokens["position"] = position_token(site, caller.queue_id, lasts_s=-1)
    return caller


def provoke(site: Site, name: str, status: int) -> httpx.Response:
    """Call the operation so that it answers with this status."""
    if status == 404:
        return no_such_thing(site, name).call(name)
    if status == 410:
        return no_more(site, name).call(name)
    caller = caller_for(site, name)
    if (name, status) == ("enqueue", 403):
        return caller.call(name, origin_key="a-wrong-one")
    if (name, status) == ("enqueue", 409):
        caller.queue_id = site.make_queue(status="paused", unique_by="ip")
    if status in (401, 403):
        return caller.call(name, auth=False)
    if status == 400 and name in BAD_QUERIES:
        return caller.call(name, query=BAD_QUERIES[name])
    if status == 400 and "/admin/" in OPERATIONS[name][1] and name not in BODIES:
        return caller.call(name, operator="%00")
    if status in (400, 413):
        return caller.call(name, content=b"{" if status == 400 else b" " * 20_000)
    if status == 409:
        caller.call(name)
    if (name, status) == ("enqueue", 200):
        caller.tokens["position"] = waiting(site, caller.queue_id)
    return caller.call(name)


# 422 is in test_idempotency, and 304 in test_queue_facts: each takes two calls.
@pytest.mark.parametrize(("name", "status"), [case for case in CASES if case[1] not in (304, 422, 429, 503)])
def test_every_documented_answer_is_one_that_the_server_gives(site: Site, name: str, status: int) -> None:
    # That its body and headers are as documented, each answer of these tests is held against.
    assert provoke(site, name, status).status_code == status


@pytest.mark.parametrize("name", [case[0] for case in CASES if case[1] == 503])
def test_every_operation_that_documents_503_answers_it_while_the_store_is_away(
    stranded: Stranded, name: str
) -> None:
    # What anybody may know of a queue is told from memory; only what is not known needs the store.
    queue_id = "not-known-yet" if name == "queue_facts" else stranded.queue_id
    caller = Caller(stranded.site, queue_id, stranded.visit, stranded.token)
    assert caller.call(name).status_code == 503


@pytest.fixture(scope="module")
def strict(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A second server on the store, which allows everything once a minute."""
    scopes = ("enqueue", "status", "heartbeat", "activity", "admin")
    limits = {f"limit_{scope}": "1/60" for scope in scopes}
    settings = {**TEST_SETTINGS, **limits}
    with running_site(site.engine, site.prefix, site.clock, tmp_path_factory, **settings) as running:
        yield running


@pytest.mark.parametrize("name", [case[0] for case in CASES if case[1] == 429])
def test_every_operation_that_documents_429_answers_it_when_its_limit_is_used_up(
    site: Site, strict: Site, name: str
) -> None:
    caller = caller_for(site, name)
    fresh_minute(site.clock)
    caller.site = strict
    caller.call(name)
    response = caller.call(name)
    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) > 0


def test_every_limited_operation_documents_429_and_every_answer_the_three_headers() -> None:
    for name, (_, _, operation) in OPERATIONS.items():
        has_limit = name not in UNLIMITED or name in LIMITED_BY_GUESSES
        assert ("429" in operation["responses"]) == has_limit, name
        for described in operation["responses"].values():
            assert {*LIMIT_HEADERS, "X-Request-Id"} <= set(described["headers"]), name


def test_what_an_answer_always_brings_is_required_in_its_schema() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    optional = {
        name: sorted(set(schema["properties"]) - set(schema.get("required", [])))
        for name, schema in schemas.items()
        if "properties" in schema and not name.endswith("Request")
    }
    assert {name: names for name, names in optional.items() if names} == {
        "ChangedWebhookResponse": ["secret"],
        "EnqueueResponse": [
            "queue_status",
            "recovering",
            "redirect_url",
            "session_expires_at",
            "session_id",
            "session_token",
            "token",
        ],
        "ErrorFacts": ["details"],
        "FoundPositionResponse": [
            *("ended_at", "enqueued_at", "estimated_wait_seconds", "last_seen_at", "metadata", "position"),
            *("priority", "reason", "session_expires_at", "session_id", "session_started_at"),
        ],
        "FoundSessionResponse": [
            *("addresses", "ended_at", "expires_at", "last_activity", "metadata", "page_views"),
            *("reason", "remaining_seconds", "started_at"),
        ],
        "HealthResponse": ["recovering_queues"],
        "QueueResponse": ["page_template"],
        "PositionUpdateEventData": ["heartbeat_timeout_seconds", "queue_status", "recovering"],
        "SessionCommandResponse": ["session_token"],
        "WaitingHeartbeat": ["queue_status", "recovering", "token"],
        "WaitingStatus": ["queue_status", "recovering", "token"],
        "TerminateResponse": ["blocked_until"],
    }


def test_a_body_is_required_where_a_request_without_one_is_refused(site: Site) -> None:
    required = {
        name: operation["requestBody"].get("required", False)
        for name, (_, _, operation) in OPERATIONS.items()
        if "requestBody" in operation
    }
    assert {name for name, is_required in required.items() if is_required} == {
        *("add_webhook", "create_queue", "join_concert", "session_command", "revoke_pass", "block"),
    }
    for name, is_required in required.items():
        answer = caller_for(site, name).call(name, content=b"")
        assert (answer.status_code == 400) == is_required, name


def test_every_operation_has_a_name_a_summary_and_a_tag_of_its_own() -> None:
    assert len(OPERATIONS) == sum(len(set(item) - {"servers"}) for item in DOCUMENT["paths"].values())
    for _, _, operation in OPERATIONS.values():
        assert operation["summary"]
        assert operation["tags"]
