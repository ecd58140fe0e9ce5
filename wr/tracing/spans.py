"""Spans: what OpenTelemetry is told of requests and batches. Only those who ask pay for it.

Attributes are those of the semantic conventions for HTTP servers and database clients. None tells a path, a
query or a header: ids are in them, and tokens.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import Context, ContextVar

from opentelemetry import trace
from opentelemetry.context import Context as SpanContext
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from wr import __version__

_SERVER_ERROR = 500
_NOBODY = SpanContext()
# Of the task that answers a request: the batch that its call goes with finds it there.
_current: ContextVar[Span | None] = ContextVar("span", default=None)
_EXPORTERS: Mapping[str, type[SpanExporter]] = {"otlp": OTLPSpanExporter, "console": ConsoleSpanExporter}


class OpenTelemetrySpan:
    """The span of a request in this task."""

    def __init__(self, span: Span) -> None:
        self._span = span
        _current.set(span)

    def end(self, *, route: str, method: str, status: int, request_id: str) -> None:
        """End the span; `route` is a path of the route table."""
        span = self._span
        _current.set(None)
        span.update_name(f"{method} {route}")
        span.set_attributes(
            {
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
                "wr.request_id": request_id,
            }
        )
        if status >= _SERVER_ERROR:
            span.set_status(StatusCode.ERROR)
        span.end()


class OpenTelemetryTracer:
    """Traces with the library, which reads endpoint, headers and sampler from the environment itself."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("wr", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def begin_request(self, method: str, headers: dict[str, str]) -> OpenTelemetrySpan:
        """Begin the span of a request in this task, below the caller's own if the headers name one."""
        parent = self._propagator.extract(headers, _NOBODY) if "traceparent" in headers else _NOBODY
        return OpenTelemetrySpan(self._tracer.start_span(method, parent, SpanKind.SERVER))

    @contextmanager
    def batch(self, script: str, callers: Sequence[Context]) -> Iterator[None]:
        """Put a span around one batch: below the first of its callers that is traced, linked to the others.

        A batch none of whose callers is traced is not traced either.
        """
        found = [caller.get(_current) for caller in callers]
        spans = [span for span in found if span is not None and span.is_recording()]
        if not spans:
            yield
            return
        span = self._tracer.start_span(
            script,
            trace.set_span_in_context(spans[0], _NOBODY),
            SpanKind.CLIENT,
            attributes={
                "db.system.name": "redis",
                "db.operation.name": script,
                "db.operation.batch.size": len(callers),
            },
            links=[Link(other.get_span_context()) for other in spans[1:]],
        )
        try:
            yield
        except Exception as error:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(Status(StatusCode.ERROR, str(error)))
            raise
        finally:
            span.end()

    def close(self) -> None:
        """Send what is not sent yet; blocks."""
        self._provider.shutdown()


def make_tracer(exporters: Sequence[str]) -> OpenTelemetryTracer:
    """Set up the library, for this process and nothing else in it; it has a thread of its own that sends."""
    # What the environment says of the service wins over what we say.
    resource = Resource({SERVICE_NAME: "wr", SERVICE_VERSION: __version__}).merge(
        OTELResourceDetector().detect()
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    for name in exporters:
        provider.add_span_processor(BatchSpanProcessor(_EXPORTERS[name]()))
    return OpenTelemetryTracer(provider)
