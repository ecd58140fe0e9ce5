"""Creates OpenTelemetry spans for requests and batches. It is imported only if traces are enabled.

The attributes follow the semantic conventions for HTTP servers and database clients. No attribute holds a
path, a query or a header, because those contain ids and tokens.
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
_NO_PARENT = SpanContext()
# The span of the request that the current task answers. The span of a batch finds its parent here.
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
    """Traces with the library. It reads the endpoint, headers and sampler from the environment itself."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("wr", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def begin_request(self, method: str, headers: Mapping[str, str]) -> OpenTelemetrySpan:
        """Start the span of a request in this task. Its parent is the caller's span, if a header names it."""
        parent = self._propagator.extract(headers, _NO_PARENT) if "traceparent" in headers else _NO_PARENT
        return OpenTelemetrySpan(self._tracer.start_span(method, parent, SpanKind.SERVER))

    @contextmanager
    def batch(self, script: str, callers: Sequence[Context]) -> Iterator[None]:
        """Create a span around one batch. Its parent is the first traced caller, and it links to the others.

        A batch without a traced caller gets no span.
        """
        found = [caller.get(_current) for caller in callers]
        spans = [span for span in found if span is not None and span.is_recording()]
        if not spans:
            yield
            return
        span = self._tracer.start_span(
            script,
            trace.set_span_in_context(spans[0], _NO_PARENT),
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
        """Send the spans that are not sent yet. Blocks."""
        self._provider.shutdown()


def make_tracer(exporters: Sequence[str]) -> OpenTelemetryTracer:
    """Set up the library, without its global state. The library sends from a thread of its own."""
    # The environment's description of the service overrides this one.
    resource = Resource({SERVICE_NAME: "wr", SERVICE_VERSION: __version__}).merge(
        OTELResourceDetector().detect()
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    for name in exporters:
        provider.add_span_processor(BatchSpanProcessor(_EXPORTERS[name]()))
    return OpenTelemetryTracer(provider)
