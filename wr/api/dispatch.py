"""From request to response: the guard, the operation, the envelope."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Protocol

import msgspec
import structlog

from wr.api.error_messages import ErrorFacts, ErrorResponse
from wr.api.errors import INTERNAL_ERROR, RETRY_AFTER_S, WireForm, refusal_headers, wire_form
from wr.api.http_messages import WEBSOCKET, HttpRequest, HttpResponse, json_response, limit_headers
from wr.api.live_feed import Feed
from wr.api.request_guard import GuardedRequest, RequestGuard
from wr.api.request_id import name_request
from wr.api.services import Services
from wr.metrics.server_metrics import NO_ROUTE, OTHER_METHOD, HttpMetrics, known_method
from wr.model import refusals
from wr.model.limits import Usage
from wr.model.refusals import Refusal
from wr.store.store_call import Answer, StoreCall, settled
from wr.tracing.tracer import RequestSpan, Tracer

log = structlog.get_logger("wr.api")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


Answered = Answer[HttpResponse] | Coroutine[Any, Any, HttpResponse]
"""What an operation returns."""
LaterResponse = Callable[[], Awaitable[HttpResponse]]
"""The work that ends with a response. It never raises."""


class Client(Protocol):
    """The connection that waits for the response to one request. One of the methods is called, once."""

    def respond(self, response: HttpResponse, /) -> None:
        """Send the response."""
        ...

    def respond_later(self, work: LaterResponse, /) -> None:
        """Send the response of this work, which has to wait."""
        ...


class Exchange(GuardedRequest, kw_only=True):
    """A request that is answered without a task of its own: what puts its call into a batch."""

    api: "Api"
    client: Client
    finish: Callable[[Any], Answered] = msgspec.UNSET  # type: ignore[assignment]
    """Makes the answer from the reply of the batch. Set when the call is known."""
    context: None = None
    """Requests that are traced have a task, and so a context; see `Api.begin`."""

    def answer(self, reply: object) -> None:
        """Go on with the reply of the batch."""
        self.api.finish(self, reply)

    def fail(self, failure: Exception) -> None:
        """Go on with the exception that the batch met."""
        self.finish = partial(_raise, failure)
        self.api.finish(self, None)


class Api:
    """Answers requests. Whatever happens, the answer is a response of the contract's form.

    Each is counted and timed, which costs 1 µs, and its id is there for log lines; one that is logged or
    traced costs more, and is neither unless that is asked for.
    """

    def __init__(
        self,
        services: Services,
        guard: RequestGuard,
        *,
        random_bytes: Callable[[int], bytes],
        metrics: HttpMetrics,
        logs_access: bool = False,
        tracer: Tracer | None = None,
    ) -> None:
        self._metrics = metrics
        self._now_s = metrics.now_s
        self._count = metrics.note
        self._logs_access = logs_access
        self._tracer = tracer
        self._is_watched = logs_access or tracer is not None
        self._services = services
        self._guard = guard
        self._random_bytes = random_bytes

    async def handle(self, http: HttpRequest) -> HttpResponse:
        """Answer one request in the task of the caller."""
        guarded = self._receive(http)
        response = await self._handle(guarded)
        self._note_task(guarded)
        return response

    def begin(self, http: HttpRequest, client: "Client") -> None:
        """Answer one request without a task for it, if that is possible.

        `client.respond` gets the response, now or in the task of a batch. If the answer needs a task, for
        example because the request is refused, `client.respond_later` gets the work for it.
        """
        guard, began_s = self._guard, self._now_s()
        exchange = Exchange(
            http, self._request_id(http), guard.address_of(http), began_s, api=self, client=client
        )
        if self._tracer is None:
            try:
                route = guard.find_route(exchange)
                request = guard.admit_now(route, exchange)
                if request is not None and route.operation is not None:
                    self._go_on(route.operation(self._services, request), exchange)
                    return
            except Refusal:
                # A refusal may have to be counted, or told on a page.
                pass
            except Exception:  # noqa: BLE001 - whatever it was, the client gets the envelope and the log the rest
                self._respond(_failed(exchange), exchange)
                return
        self._begin_task(exchange, partial(self._handle, exchange))

    def _receive(self, http: HttpRequest) -> GuardedRequest:
        """Note when a request has arrived, and from where."""
        return GuardedRequest(http, self._request_id(http), self._guard.address_of(http), self._now_s())

    def finish(self, exchange: "Exchange", reply: object) -> None:
        """Go on with a request when the store has replied to the call of its answer."""
        try:
            self._go_on(exchange.finish(reply), exchange)
        except Refusal as refusal:
            # Without a name here, or the refusal would lead to itself by way of its traceback.
            self._begin_task(exchange, partial(self._refuse_later, refusal, exchange))
        except Exception:  # noqa: BLE001 - as above
            self._respond(_failed(exchange), exchange)

    def _go_on(self, answer: Answered, exchange: "Exchange") -> None:
        """Take the next step to an answer: send it, put its call into a batch, or wait for it in a task."""
        if isinstance(answer, HttpResponse):
            _complete(answer, exchange)
            self._respond(answer, exchange)
        elif isinstance(answer, StoreCall):
            exchange.finish = answer.finish
            answer.batcher.add(answer.key, answer.item, exchange)
        else:
            self._begin_task(exchange, partial(self._settle_later, answer, exchange))

    def _begin_task(self, exchange: "Exchange", work: LaterResponse) -> None:
        """Have a task make the response, and count it: the requests that are sent most must not need one."""
        self._note_task(exchange)
        exchange.client.respond_later(work)

    def _note_task(self, guarded: GuardedRequest) -> None:
        route = guarded.route
        if route is None:
            self._metrics.note_task(NO_ROUTE, known_method(guarded.http.method))
        else:
            self._metrics.note_task(route.path, route.method)

    def _respond(self, response: HttpResponse, exchange: "Exchange") -> None:
        self._end(exchange, response.status, None)
        exchange.client.respond(response)

    async def _settle_later(self, answer: Answered, exchange: "Exchange") -> HttpResponse:
        """Wait for an answer that has been begun."""
        name_request(exchange.request_id)
        try:
            response = await _settled(answer)
            _complete(response, exchange)
        except Refusal as refusal:
            response = await self._refuse(refusal, exchange)
        except Exception:  # noqa: BLE001 - as above
            response = _failed(exchange)
        self._end(exchange, response.status, None)
        return response

    async def _refuse_later(self, refusal: Refusal, exchange: "Exchange") -> HttpResponse:
        name_request(exchange.request_id)
        response = await self._refuse(refusal, exchange)
        self._end(exchange, response.status, None)
        return response

    async def _handle(self, guarded: GuardedRequest) -> HttpResponse:
        """Answer one request in a task of its own, from the beginning."""
        http = guarded.http
        name_request(guarded.request_id)
        span = None if self._tracer is None else self._tracer.begin_request(http.method, http.headers)
        try:
            route = self._guard.find_route(guarded)
            request = await self._guard.admit(route, guarded)
            if route.operation is None:
                response = await self._refuse(_has_no_head(), guarded)
            else:
                response = await _settled(route.operation(self._services, request))
                _complete(response, guarded)
        except Refusal as refusal:
            response = await self._refuse(refusal, guarded)
        except Exception:  # noqa: BLE001 - as above
            response = _failed(guarded)
        self._end(guarded, response.status, span)
        return response

    def _end(self, guarded: GuardedRequest, status: int, span: RequestSpan | None) -> None:
        """Count an answered request; log and trace it where that is asked for."""
        found = guarded.route
        if found is None or self._is_watched:
            self._note(guarded, status, span)
        else:
            self._count(found.path, found.method, status, guarded.began_s)

    def has_feed(self, method: str, path: str) -> bool:
        """Whether that is a live stream, to be followed, rather than a call, to be handled."""
        return self._guard.router.has_feed(method, path)

    @asynccontextmanager
    async def follow(self, http: HttpRequest) -> AsyncIterator[Feed | HttpResponse]:
        """Open a live feed for as long as the block lasts, or answer why not."""
        opened = await self.open_feed(http)
        try:
            yield opened
        finally:
            if not isinstance(opened, HttpResponse):
                opened.close()

    async def open_feed(self, http: HttpRequest) -> Feed | HttpResponse:
        """Open a live feed, which the caller closes, or answer why not.

        A path that has no feed is answered as `handle` would.
        """
        guarded = self._receive(http)
        name_request(guarded.request_id)
        span = None if self._tracer is None else self._tracer.begin_request(http.method, http.headers)
        opened: Feed | HttpResponse
        try:
            opened = await self._open(guarded)
        except Refusal as refusal:
            opened = await self._refuse(refusal, guarded)
        except Exception:  # noqa: BLE001 - as above
            opened = _failed(guarded)
        if isinstance(opened, HttpResponse):
            status = opened.status
        else:
            status = 101 if http.method == WEBSOCKET else 200
        self._note(guarded, status, span)
        return opened

    async def _open(self, guarded: GuardedRequest) -> Feed | HttpResponse:
        route = self._guard.find_route(guarded)
        request = await self._guard.admit(route, guarded)
        if route.operation is not None:
            response = await _settled(route.operation(self._services, request))
            _complete(response, guarded)
            return response
        if route.feed is None:
            return await self._refuse(_has_no_head(), guarded)
        feed = await route.feed(self._services, request)
        feed.headers = [("X-Request-Id", guarded.request_id), *limit_headers(feed.usage)]
        return feed

    def _note(self, guarded: GuardedRequest, status: int, span: RequestSpan | None) -> None:
        """Count a request that is answered; log and trace it where that is asked for.

        Neither its path nor its query is logged: ids are in them, and tokens.
        """
        route = guarded.route
        if route is None:
            path, method = NO_ROUTE, known_method(guarded.http.method)
        else:
            path, method = route.path, route.method
        took_s = self._metrics.note(path, method, status, guarded.began_s)
        if self._logs_access:
            log.info(
                "request",
                method=method,
                route=path,
                status=status,
                ms=round(took_s * 1000, 3),
                client=guarded.address,
                request_id=guarded.request_id,
            )
        if span is not None:
            span.end(route=path, method=method, status=status, request_id=guarded.request_id)

    async def _refuse(self, refusal: Refusal, guarded: GuardedRequest) -> HttpResponse:
        """Answer with an error. One that no script has counted yet is counted here: a flood of bad requests
        is a flood."""
        usage = refusal.usage or guarded.usage
        if usage is None and not isinstance(refusal, refusals.Unavailable):
            try:
                await self._guard.count(guarded)
            except refusals.RateLimited as limited:
                refusal = limited
            except refusals.Unavailable:
                log.warning("a refused request could not be counted: the store is away")
            usage = guarded.usage
        route = guarded.route
        if route is not None and route.refusal_page is not None:
            queue_id = guarded.parameters["queue_id"]
            response = await route.refusal_page(self._services, guarded.http, queue_id, refusal)
            response.usage = usage
            _complete(response, guarded)
            return response
        return _error(refusal, guarded.request_id, usage)

    def refuse(self, refusal: Refusal) -> HttpResponse:
        """Refuse a client that has not been heard: one too many, or too slow."""
        request_id = f"req-{self._random_bytes(8).hex()}"
        form = wire_form(refusal)
        self._metrics.note(NO_ROUTE, OTHER_METHOD, form.status, self._metrics.now_s())
        return _error(refusal, request_id, None)

    def _request_id(self, http: HttpRequest) -> str:
        """Take the caller's own id where it brings a harmless one, so that logs on both sides meet."""
        request_id = http.headers.get("x-request-id")
        if request_id is None or not _REQUEST_ID.fullmatch(request_id):
            request_id = f"req-{self._random_bytes(8).hex()}"
        return request_id


def _raise(failure: Exception, _reply: object) -> HttpResponse:
    raise failure


async def _settled(answer: Answered) -> HttpResponse:
    if isinstance(answer, Coroutine):
        return await answer
    response: HttpResponse = await settled(answer)
    return response


def _has_no_head() -> Refusal:
    return refusals.MethodNotAllowed("A stream has no head", ("GET",))


def _complete(response: HttpResponse, guarded: GuardedRequest) -> None:
    """Add to the response of an operation what only the dispatch knows."""
    response.request_id = guarded.request_id
    if response.usage is None:
        response.usage = guarded.usage
    if response.status == 503:
        response.extra_headers = [*response.extra_headers, ("Retry-After", str(RETRY_AFTER_S))]


def _failed(guarded: GuardedRequest) -> HttpResponse:
    request_id = guarded.request_id
    log.exception("a request failed", request_id=request_id, method=guarded.http.method)
    return _envelope(INTERNAL_ERROR, "Something went wrong on our side", request_id, usage=guarded.usage)


def _error(refusal: Refusal, request_id: str, usage: Usage | None) -> HttpResponse:
    response = _envelope(wire_form(refusal), refusal.message, request_id, refusal.details, usage)
    response.extra_headers = refusal_headers(refusal)
    return response


def _envelope(
    form: WireForm,
    message: str,
    request_id: str,
    details: dict[str, object] | None = None,
    usage: Usage | None = None,
) -> HttpResponse:
    facts = ErrorFacts(code=form.code, message=message, details=details or msgspec.UNSET)
    response = json_response(form.status, ErrorResponse(error=facts, request_id=request_id), usage)
    response.request_id = request_id
    return response
