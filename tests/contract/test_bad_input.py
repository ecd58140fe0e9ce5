"""What bad input gets: a clear error in JSON, and nothing changed or lost."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import httpx
import orjson
import pytest
import redis

from tests.contract.helpers import (
    Visit,
    assert_refused,
    enqueue_path,
    enter,
    fresh_day,
    let_passes_run,
    open_queue,
    picture,
    stats_of,
    use_tokens,
    wait_until,
    waiting,
)
from tests.support.site import BASE, Site, new_address
from wr.model.queue_settings import WEEK_S
from wr.store.key_names import KeyNames

JSON = "application/json"
LIMIT = 16 * 1024


@dataclass
class Scene:
    """A queue with people in line and one with somebody inside; bad input must leave both as they are."""

    site: Site
    store: redis.Redis
    paused: str
    inside: Visit
    known: Any = None

    def look(self) -> list[Any]:
        """Read all that is kept of the two queues, and which queues there are."""
        keys = KeyNames(self.site.prefix)
        with self.store.pipeline(transaction=False) as pipeline:
            pipeline.smembers(keys.shared("queues"))
            for queue_id in (self.paused, self.inside.queue_id):
                for key in keys.queue(queue_id, "config", "records", "extras", "people", "counters"):
                    pipeline.hgetall(key)
                for key in keys.queue(queue_id, "waiting", "seen", "sessions", "tombstones"):
                    pipeline.zrange(key, 0, -1, withscores=True)
            return list(pipeline.execute())


@pytest.fixture(scope="module")
def scene(site: Site, store: redis.Redis) -> Scene:
    """Its settings are not the defaults, so that a reset to these would show."""
    paused = site.make_queue(
        name="Sale",
        status="paused",
        target_url="https://sale.example/",
        max_active_users=7,
        max_queue_size=77,
        admission_rate=0.7,
        session_timeout_seconds=WEEK_S - 7,
        heartbeat_interval_seconds=70,
        heartbeat_timeout_seconds=WEEK_S - 77,
        unique_by="ip",
    )
    for _ in range(2):
        # Used at once, so that neither place is dropped as one whose token is never used.
        site.heartbeat(paused, waiting(site, paused))
    inside = enter(site, open_queue(site, session_timeout_seconds=WEEK_S, admission_rate=1))
    site.admin("PATCH", f"/queues/{inside.queue_id}", {"status": "paused"})
    fresh_day(site.clock)
    wait_until(lambda: stats_of(site, paused)["total_enqueued_today"] == 0)
    let_passes_run(site)
    made = Scene(site, store, paused, inside)
    made.known = made.look()
    return made


@pytest.fixture
def unchanged(scene: Scene) -> Iterator[Scene]:
    """Whatever the test sends, everything is afterwards as it was."""
    yield scene
    before, scene.known = scene.known, scene.look()
    assert scene.known == before


def send(
    site: Site, method: str, path: str, content: bytes, content_type: str | None = JSON, **headers: str
) -> httpx.Response:
    if content_type is not None:
        headers["Content-Type"] = content_type
    headers["X-Forwarded-For"] = new_address()
    return site.http.request(method, path, content=content, headers=headers)


Sender = Callable[..., httpx.Response]


def to_enqueue(scene: Scene, content: bytes, content_type: str | None = JSON) -> httpx.Response:
    return send(scene.site, "POST", enqueue_path(scene.paused), content, content_type)


def to_heartbeat(scene: Scene, content: bytes, content_type: str | None = JSON) -> httpx.Response:
    # A visitor of its own each time: bad heartbeats count against the limit too.
    queue_id = scene.site.make_queue(status="paused")
    headers = {"Authorization": f"Bearer {waiting(scene.site, queue_id)}"}
    path = f"{BASE}/queues/{queue_id}/heartbeat"
    response = send(scene.site, "POST", path, content, content_type, **headers)
    scene.site.admin("DELETE", f"/queues/{queue_id}")
    return response


def to_activity(scene: Scene, content: bytes, content_type: str | None = JSON) -> httpx.Response:
    headers = {"Authorization": f"Bearer {scene.inside.session_token}"}
    path = f"{BASE}/sessions/{scene.inside.session_id}/activity"
    return send(scene.site, "POST", path, content, content_type, **headers)


def as_admin(method: str, path: str) -> Sender:
    def to_admin(scene: Scene, content: bytes, content_type: str | None = JSON) -> httpx.Response:
        where = path.format(queue_id=scene.paused, session_id=scene.inside.session_id)
        headers = {"X-Admin-Key": scene.site.admin_key}
        return send(scene.site, method, f"{BASE}/admin{where}", content, content_type, **headers)

    return to_admin


to_create = as_admin("POST", "/queues")
to_update = as_admin("PATCH", "/queues/{queue_id}")
to_terminate = as_admin("DELETE", "/sessions/{session_id}")

SENDERS = {
    "enqueue": to_enqueue,
    "heartbeat": to_heartbeat,
    "activity": to_activity,
    "create": to_create,
    "update": to_update,
    "terminate": to_terminate,
}
every_body = pytest.mark.parametrize("sender", SENDERS.values(), ids=SENDERS.keys())

MALFORMED = {
    "cut off": b'{"priority": 0',
    "no JSON": b"priority=0",
    "single quotes": b"{'priority': 0}",
    "trailing comma": b'{"priority": 0,}',
    "two documents": b"{}{}",
    "NaN": b'{"priority": NaN}',
    "infinity": b'{"priority": Infinity}',
    "null": b"null",
    "a list": b"[]",
    "a text": b'"{}"',
    "a number": b"1",
    "only spaces": b"   ",
    "invalid UTF-8": b'{"\xff\xfe": 0}',
    "UTF-16": '{"priority": 0}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "binary": bytes(range(256)),
    "nested very deeply": b'{"a":' * 2000 + b"0" + b"}" * 2000,
    "lists nested very deeply": b'{"x": ' + b"[" * 8000 + b"]" * 8000 + b"}",
    "open brackets without end": b'{"x": ' + b"[" * 16_000,
}


WORST = ("cut off", "null", "invalid UTF-8", "nested very deeply", "binary")


def of_every_body(everything: dict[str, Any], some: Sequence[str]) -> list[Any]:
    """Try everything on one route and some of it on the others: all bodies are read in one place."""
    return [
        pytest.param(sender, value, id=f"{route}-{name}")
        for route, sender in SENDERS.items()
        for name, value in everything.items()
        if route == "enqueue" or name in some
    ]


@pytest.mark.parametrize(("sender", "content"), of_every_body(MALFORMED, WORST))
def test_a_body_that_is_no_json_object_is_400(unchanged: Scene, sender: Sender, content: bytes) -> None:
    assert_refused(sender(unchanged, content), 400, "INVALID_REQUEST")


@every_body
def test_a_body_over_16_kib_is_413(unchanged: Scene, sender: Sender) -> None:
    for content in (b" " * (LIMIT + 1), b"{}" + b" " * LIMIT, b"[" * 1_000_000):
        assert_refused(sender(unchanged, content), 413, "INVALID_REQUEST")


def test_a_body_over_16_kib_without_a_stated_length_is_413(unchanged: Scene) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 1024

    response = unchanged.site.http.post(
        enqueue_path(unchanged.paused), content=pieces(), headers={"Content-Type": JSON}
    )
    assert_refused(response, 413, "INVALID_REQUEST")


def test_a_body_of_exactly_16_kib_is_read(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    content = b'{"priority": 3}'.ljust(LIMIT)
    assert send(site, "POST", enqueue_path(queue_id), content).status_code == 201


NO_JSON_TYPES = {
    given or "nothing": given
    for given in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/html; charset=application/json",
        "application/jsonx",
        "xapplication/json",
        "application/json, text/plain",
        "json",
        "*/*",
        "",
    )
}


@pytest.mark.parametrize(("sender", "content_type"), of_every_body(NO_JSON_TYPES, ("text/plain",)))
def test_a_body_of_another_type_that_is_not_json_is_400(
    unchanged: Scene, sender: Sender, content_type: str
) -> None:
    assert_refused(sender(unchanged, b"priority=1", content_type), 400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    "content_type",
    [JSON, "application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.shop.v1+json", None],
)
def test_a_body_declared_as_json_or_not_at_all_is_read(site: Site, content_type: str | None) -> None:
    queue_id = site.make_queue(status="paused")
    refused = send(site, "POST", enqueue_path(queue_id), b'{"priority": 4}', content_type)
    assert_refused(refused, 400, "INVALID_REQUEST")
    taken = send(site, "POST", enqueue_path(queue_id), b'{"priority": 3}', content_type)
    assert taken.status_code == 201


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", JSON, None])
def test_an_empty_body_joins_whatever_type_it_claims(site: Site, content_type: str | None) -> None:
    queue_id = site.make_queue(status="paused")
    assert send(site, "POST", enqueue_path(queue_id), b"", content_type).status_code == 201


class Raw(str):
    """JSON that Python's own values cannot spell."""

    __slots__ = ()


def body_of(field: str, value: Any, **rest: Any) -> bytes:
    text = value if isinstance(value, Raw) else orjson.dumps(value).decode()
    fields = [f'"{field}": {text}', *(f'"{name}": {orjson.dumps(v).decode()}' for name, v in rest.items())]
    return ("{" + ", ".join(fields) + "}").encode()


def cases(table: dict[str, list[Any]]) -> list[Any]:
    return [
        pytest.param(field, value, id=f"{field}={str(value)[:24]!a}"[:40] + f"-{number}")
        for field, values in table.items()
        for number, value in enumerate(values)
    ]


HUGE = Raw("1" + "0" * 70)
NO_INTEGER = ["1", 1.5, True, None, [], Raw("1e400"), HUGE]

BAD_JOINS: dict[str, list[Any]] = {
    "priority": [4, -1, 1.5, "1", "", True, False, None, [], {}, Raw("1e400"), HUGE, Raw("0.5e-400"), 99],
    "metadata": [
        None,
        [],
        "text",
        1,
        True,
        {"a": None},
        {"a": {}},
        {"a": {"b": 1}},
        {"a": []},
        {"a": [1]},
        {"ok": 1, "bad": {"x": "y"}},
        Raw('{"a": 1e400}'),
        Raw('{"a": -1e400}'),
        Raw('{"a": NaN}'),
        Raw('{"a": ' + "9" * 5000 + "}"),
        Raw(r'{"a": "\ud800"}'),
        Raw(r'{"a": "\q"}'),
        Raw('{"a": "\x01"}'),
        {"a": "x" * 4096},
        {"x" * 4096: 1},
        {f"k{number}": "0123456789" for number in range(250)},
    ],
}


@pytest.mark.parametrize(("field", "value"), cases(BAD_JOINS))
def test_a_join_with_a_bad_field_is_400_and_names_it(unchanged: Scene, field: str, value: Any) -> None:
    details = assert_refused(to_enqueue(unchanged, body_of(field, value)), 400, "INVALID_REQUEST")
    assert details.get("field", field).startswith(field)


@pytest.mark.parametrize("content", [b'{"metadata": {"a": "\xff"}}', b'{"metadata": {"\xc3\x28": 1}}'])
def test_metadata_that_is_no_utf8_is_400(unchanged: Scene, content: bytes) -> None:
    assert_refused(to_enqueue(unchanged, content), 400, "INVALID_REQUEST")


BAD_HEARTBEATS: dict[str, list[Any]] = {
    "timestamp": ["1704067260000", -1, 1.5, True, None, [], {}, 2**60, HUGE, Raw("1e400")],
    "client_id": [1, True, None, [], {}, "x" * 257],
}


@pytest.mark.parametrize(("field", "value"), cases(BAD_HEARTBEATS))
def test_a_heartbeat_with_a_bad_field_is_400_and_names_it(scene: Scene, field: str, value: Any) -> None:
    details = assert_refused(to_heartbeat(scene, body_of(field, value)), 400, "INVALID_REQUEST")
    assert details.get("field", field) == field


def test_a_bad_heartbeat_keeps_no_place(site: Site) -> None:
    queue_id = site.make_queue(status="paused")
    token = waiting(site, queue_id)
    use_tokens(site, queue_id, [token])
    site.clock.advance(50)
    refused = site.call("POST", f"/queues/{queue_id}/heartbeat", token, {"timestamp": "now"})
    assert_refused(refused, 400, "INVALID_REQUEST")
    site.clock.advance(11)
    gone = site.wait_for(lambda: site.status(queue_id, token), lambda r: r.status_code != 200)
    assert_refused(gone, 410, "POSITION_EXPIRED")


BAD_ACTIVITIES: dict[str, list[Any]] = {
    "action": ["", 1, True, None, [], {}, "x" * 65],
    "page": [1, None, [], "x" * 2049],
    "timestamp": ["1704067260000", -1, 1.5, True, None, 2**60],
}


@pytest.mark.parametrize(("field", "value"), cases(BAD_ACTIVITIES))
def test_an_activity_with_a_bad_field_is_400_and_names_it(unchanged: Scene, field: str, value: Any) -> None:
    rest = {} if field == "action" else {"action": "page_view"}
    details = assert_refused(to_activity(unchanged, body_of(field, value, **rest)), 400, "INVALID_REQUEST")
    assert details["field"] == field


BAD_TERMINATIONS: dict[str, list[Any]] = {
    "reason": [1, True, None, [], {}, "x" * 201],
    "why": ["abuse_detected"],
}


@pytest.mark.parametrize(("field", "value"), cases(BAD_TERMINATIONS))
def test_a_termination_with_a_bad_field_is_400(unchanged: Scene, field: str, value: Any) -> None:
    assert_refused(to_terminate(unchanged, body_of(field, value)), 400, "INVALID_REQUEST")


BAD_SETTINGS: dict[str, list[Any]] = {
    "name": ["", "x" * 201, 1, True, None, [], {}],
    "target_url": [
        "",
        "example.com",
        "/checkout",
        "//example.com/checkout",
        "ftp://example.com",
        "javascript:alert(1)",
        "data:text/html,hello",
        "file:///etc/passwd",
        "https:example.com",
        "https:///checkout",
        "http://",
        "https://?x",
        "https://:8080",
        "http://example.com:port",
        "http://example.com:99999",
        "http://example.com:0",
        "http://[::1",
        "http://exam ple.com",
        "https://example.com/\r\nSet-Cookie: a=b",
        "https://example.com/\u0000",
        " https://example.com",
        "https://example.com\t",
        "https://example.com/" + "x" * 2048,
        1,
        True,
        None,
        [],
        {},
    ],
    "max_active_users": [0, -1, 1_000_000_001, *NO_INTEGER],
    "max_queue_size": [-1, 1_000_000_001, *NO_INTEGER],
    "admission_rate": [0, 0.0, -0.0, -1, -0.5, 1_000_001, "10", True, None, [], Raw("1e400"), Raw("NaN")],
    "session_timeout_seconds": [0, -1, WEEK_S + 1, *NO_INTEGER],
    "heartbeat_interval_seconds": [0, -1, 3601, *NO_INTEGER],
    "heartbeat_timeout_seconds": [0, 1, -1, WEEK_S + 1, *NO_INTEGER],
    "unique_by": ["", "email", "IP", 1, None, []],
    "status": ["", "closed", "ACTIVE", 1, True, None, []],
    "colour": ["red"],
    "created_at": ["2024-01-01T00:00:00Z"],
    "updated_at": ["2024-01-01T00:00:00Z"],
    "version": [1],
    "Name": ["Sale"],
}
BAD_IDS: dict[str, list[Any]] = {
    "id": [
        *("", "x" * 65, "a b", " ", "a/b", "a\n", "\n", "a\\b", "ä", "{a}", "a*", "a:b", "a%20b"),
        *("a?b", "a#b", "a\u0000", 1, True, None, [], {}),
    ]
}


@pytest.mark.parametrize(("field", "value"), cases(BAD_SETTINGS) + cases(BAD_IDS))
def test_a_queue_with_a_bad_setting_is_400_and_not_created(unchanged: Scene, field: str, value: Any) -> None:
    sound = {"id": "never-made", "target_url": "https://shop.example/checkout"}
    rest = {name: given for name, given in sound.items() if name != field}
    details = assert_refused(to_create(unchanged, body_of(field, value, **rest)), 400, "INVALID_REQUEST")
    assert details.get("field", field) == field


@pytest.mark.parametrize("missing", ["id", "target_url"])
def test_a_queue_without_a_required_setting_is_400(unchanged: Scene, missing: str) -> None:
    body = {"id": "never-made", "target_url": "https://shop.example/checkout"}
    del body[missing]
    response = to_create(unchanged, orjson.dumps(body))
    assert_refused(response, 400, "INVALID_REQUEST")
    assert missing in response.json()["error"]["message"]


SOME_BAD_CHANGES = {field: values[:4] for field, values in BAD_SETTINGS.items()}


@pytest.mark.parametrize(("field", "value"), [*cases(SOME_BAD_CHANGES), *cases({"id": ["other"]})])
def test_an_update_with_a_bad_setting_is_400_and_changes_nothing_of_the_rest(
    unchanged: Scene, field: str, value: Any
) -> None:
    rest = {} if field == "name" else {"name": "Half an update"}
    details = assert_refused(to_update(unchanged, body_of(field, value, **rest)), 400, "INVALID_REQUEST")
    assert details.get("field", field) == field


@pytest.mark.parametrize(("interval", "timeout"), [(60, 60), (61, 60), (3600, 2)])
def test_a_heartbeat_timeout_not_above_its_interval_is_400(
    unchanged: Scene, interval: int, timeout: int
) -> None:
    together = {"heartbeat_interval_seconds": interval, "heartbeat_timeout_seconds": timeout}
    new = {"id": "never-made", "target_url": "https://shop.example", **together}
    for response in (
        to_create(unchanged, orjson.dumps(new)),
        to_update(unchanged, orjson.dumps(together)),
    ):
        details = assert_refused(response, 400, "INVALID_REQUEST")
        assert details == {"field": "heartbeat_timeout_seconds"}


@pytest.mark.parametrize(
    "changes", [{"heartbeat_timeout_seconds": 20}, {"heartbeat_interval_seconds": 40}], ids=str
)
def test_an_update_of_one_of_the_two_is_held_against_the_other_as_stored(
    site: Site, changes: dict[str, int]
) -> None:
    queue_id = site.make_queue(heartbeat_interval_seconds=20, heartbeat_timeout_seconds=40)
    before = picture(site, queue_id)
    response = site.admin("PATCH", f"/queues/{queue_id}", {"name": "Half an update", **changes})
    assert_refused(response, 400, "INVALID_REQUEST")
    assert picture(site, queue_id) == before
    sound = {name: value + 1 if "timeout" in name else value - 1 for name, value in changes.items()}
    assert site.admin("PATCH", f"/queues/{queue_id}", sound).status_code == 200


def test_the_smallest_admission_rate_there_is_breaks_no_estimate(site: Site) -> None:
    queue_id = site.make_queue(status="paused", admission_rate=5e-324)
    joined = site.join(queue_id)
    assert joined.status_code == 201
    assert 0 < joined.json()["estimated_wait_seconds"] < 2**31


ODD_IDS = ["a b", "a%0A", "%00", "%FF%FE", "{x}", "*", "a;b", "a:b", "Ω", "x" * 65, "x" * 4000, "%2e%2e%2fx"]


@pytest.mark.parametrize("queue_id", ODD_IDS)
def test_an_id_that_no_queue_can_have_is_404_and_with_a_token_of_another_queue_401(
    unchanged: Scene, queue_id: str
) -> None:
    site, token = unchanged.site, unchanged.inside.token
    assert_refused(site.join(queue_id, token=token), 404, "NOT_FOUND")
    is_one_part = "/" not in unquote(queue_id)
    for method, last in (("GET", "status"), ("POST", "heartbeat"), ("DELETE", "position")):
        headers = {"X-Forwarded-For": new_address()}
        response = site.call(method, f"/queues/{queue_id}/{last}", token, headers=headers)
        if is_one_part:
            assert_refused(response, 401, "UNAUTHORIZED")
        else:
            assert_refused(response, 404, "NOT_FOUND")
