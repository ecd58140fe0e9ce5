"""Traces of a real server, sent to a real receiver."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.processes import ServerProcess, running_server_process, starting_server
from tests.support.receiver import Received, Receiver, receiving
from tests.support.site import BASE, Site
from wr.tracing.setup import TracesFailure, asked_exporters

ENQUEUE = f"POST {BASE}/queues/{{queue_id}}/enqueue"
STATUS = f"GET {BASE}/queues/{{queue_id}}/status"
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SERVER_KIND, CLIENT_KIND = 2, 3


@pytest.fixture(autouse=True)
def nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without what this machine's environment may ask for."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


def traced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, talk: "Talk", lane: str = "on", **environment: str
) -> Receiver:
    """Run a server that sends its traces, talk with it, and stop it: then all of them have come."""
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with running_server_process(tmp_path, fast_lane=lane) as server:
            with server.site() as site:
                talk(site)
            server.send(signal.SIGTERM)
            assert server.ended() == 0, server.log
        return receiver


class Talk:
    """Some requests, and what came of them."""

    def __init__(self) -> None:
        self.queue_id = ""
        self.token = ""
        self.request_id = ""

    def __call__(self, site: Site) -> None:
        self.queue_id = site.make_queue(status="paused")
        joined = site.join(self.queue_id)
        self.token = joined.json()["token"]
        self.request_id = joined.headers["X-Request-Id"]
        parent = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
        path = f"/queues/{self.queue_id}/status?access_token={self.token}"
        assert site.call("GET", path, self.token, headers=parent).status_code == 200
        assert site.status("none-such", self.token).status_code == 401
        assert site.http.get("/nowhere").status_code == 404


def one(spans: list[Received]) -> Received:
    (span,) = spans
    return span


@pytest.mark.parametrize("lane", ["on", "off"])
def test_each_request_is_a_span_and_the_batch_it_went_with_is_below_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lane: str
) -> None:
    talk = Talk()
    receiver = traced(tmp_path, monkeypatch, talk, lane)
    joined = one(receiver.named(ENQUEUE))
    assert joined.kind == SERVER_KIND
    assert joined.parent_id == ""
    assert joined.attributes == {
        "http.request.method": "POST",
        "http.route": f"{BASE}/queues/{{queue_id}}/enqueue",
        "http.response.status_code": 201,
        "wr.request_id": talk.request_id,
    }
    batch = one(receiver.named("enqueue"))
    assert (batch.parent_id, batch.trace_id, batch.kind) == (joined.span_id, joined.trace_id, CLIENT_KIND)
    assert batch.attributes["db.operation.batch.size"] == 1
    assert 0 < batch.lasted_s < joined.lasted_s
    assert {span.service for span in receiver.spans} == {"wr"}


@pytest.mark.parametrize("lane", ["on", "off"])
def test_a_span_is_below_its_callers_own_and_tells_of_no_token_and_no_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lane: str
) -> None:
    talk = Talk()
    receiver = traced(tmp_path, monkeypatch, talk, lane, OTEL_SERVICE_NAME="the-sale")
    known, refused = receiver.named(STATUS)
    assert (known.trace_id, known.parent_id) == (TRACE, CALLER)
    assert (refused.attributes["http.response.status_code"], refused.parent_id) == (401, "")
    assert refused.trace_id != TRACE
    lost = one(receiver.named("GET none"))
    assert lost.attributes["http.response.status_code"] == 404
    assert not any(span.is_error for span in receiver.spans)
    assert {span.service for span in receiver.spans} == {"the-sale"}
    for span in receiver.spans:
        for secret in (talk.token, talk.queue_id):
            assert secret not in str(span)


def test_a_batch_of_many_is_below_the_first_and_linked_to_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crowd(site: Site) -> None:
        queue_id = site.make_queue(status="paused")
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: site.join(queue_id), range(200)))
        assert {answer.status_code for answer in answers} == {201}

    receiver = traced(tmp_path, monkeypatch, crowd)  # type: ignore[arg-type]
    requests = {span.span_id for span in receiver.named(ENQUEUE)}
    batches = receiver.named("enqueue")
    assert len(requests) == 200
    assert len(batches) < 200, "a crowd shares batches"
    assert sum(span.attributes["db.operation.batch.size"] for span in batches) == 200
    named = [each for span in batches for each in (span.parent_id, *span.links)]
    assert sorted(named) == sorted(requests)


def test_a_request_that_fails_on_our_side_is_an_error_and_so_is_its_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        with running_server_process(tmp_path) as server:
            with server.site() as site:
                queue_id = site.make_queue(status="paused")
                token = site.join(queue_id).json()["token"]
                server.freeze_store()
                try:
                    assert site.status(queue_id, token).status_code == 503
                finally:
                    server.thaw_store()
            server.send(signal.SIGTERM)
            assert server.ended() == 0
    assert one(receiver.named(STATUS)).is_error
    batch = one(receiver.named("poll"))
    assert batch.is_error
    assert batch.attributes["error.type"] == "Unavailable"


def test_a_sampler_that_takes_nothing_leaves_batches_out_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert traced(tmp_path, monkeypatch, Talk(), OTEL_TRACES_SAMPLER="always_off").spans == []


@pytest.mark.parametrize("name", ["OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED"])
def test_traces_that_are_turned_off_are_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    value = {"OTEL_TRACES_EXPORTER": "none", "OTEL_SDK_DISABLED": "true"}[name]
    assert traced(tmp_path, monkeypatch, Talk(), **{name: value}).spans == []


def test_nothing_of_the_libraries_is_loaded_until_somebody_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    with running_server_process(tmp_path) as server:
        with server.site() as site:
            assert site.http.get("/health").status_code == 200
            before = loaded(server)
            assert site.http.get("/metrics").status_code == 200
        assert "redis.connection" in before
        unasked = {"opentelemetry.context", "prometheus_client.registry", "rich.console"}
        assert before & unasked == set()
        assert "prometheus_client.registry" in loaded(server)


def loaded(server: ServerProcess) -> set[str]:
    """Modules that the interpreter says it has loaded."""
    lines = [line for line in server.errors.read_text().splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


def test_a_server_that_is_to_trace_without_the_library_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A package of that name that cannot be imported stands before the real one.
    (tmp_path / "hidden" / "opentelemetry").mkdir(parents=True)
    missing = "raise ModuleNotFoundError(\"No module named 'opentelemetry'\", name='opentelemetry')"
    (tmp_path / "hidden" / "opentelemetry" / "__init__.py").write_text(missing)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hidden"))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    with starting_server(tmp_path / "data") as server:
        assert server.ended() == 1
        assert "pip install 'wr[tracing]'" in server.log
        assert "Traceback" not in server.log


@pytest.mark.parametrize(
    ("environment", "exporters"),
    [
        ({}, ()),
        ({"OTEL_SERVICE_NAME": "x"}, ()),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, ("otlp",)),
        ({"OTEL_TRACES_EXPORTER": "console, otlp"}, ("console", "otlp")),
        ({"OTEL_TRACES_EXPORTER": "none"}, ()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, ("otlp",)),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/v1/traces"}, ("otlp",)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, ()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"}, ()),
    ],
)
def test_the_environment_says_whether_and_how(
    environment: dict[str, str], exporters: tuple[str, ...]
) -> None:
    assert asked_exporters(environment) == exporters


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "zipkin"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf"),
    ],
)
def test_what_is_not_there_is_said_and_not_left_out(environment: dict[str, str], complaint: str) -> None:
    with pytest.raises(TracesFailure, match=complaint):
        asked_exporters(environment)
