"""From request to response: the reception, the operation, the envelope."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import msgspec
import structlog

from wr.api.error_messages import ErrorFacts, ErrorResponse
from wr.api.errors import INTERNAL_ERROR, RETRY_AFTER_S, WireForm, refusal_headers, wire_form
from wr.api.http_messages import HttpRequest, HttpResponse, limit_headers
from wr.api.live_feed import Feed
from wr.api.place_cookies import PlaceCookies
from wr.api.request_context import Answer, Page, RequestContext, Services
from wr.api.request_guard import RequestGuard
from wr.api.request_id import name_request
from wr.api.route import WEBSOCKET, Route
from wr.api.visitors.messages import CancelResponse
from wr.metrics.server_metrics import NO_ROUTE, OTHER_METHOD, HttpMetrics, known_method
from wr.model import refusals
from wr.model.limits import Usage
from wr.model.refusals import Refusal

log = structlog.get_logger("wr.api")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Tracing(Protocol):
    """What the API needs to have requests traced."""

    def begin_request(self, method: str, headers: dict[str, str], /) -> Any:
        """Begin a span, below the caller's own if the headers name one."""
        ...

    def end_request(self, span: Any, /, *, route: str, method: str, status: int, request_id: str) -> None:
        """End a span that was begun."""
        ...


class Api:
    """Answers requests. Whatever happens, the answer is a response of the contract's form.

    Each is counted and timed, which costs 1 µs, and its id is there for log lines; one that is logged or
    traced costs more, and is neither unless that is asked for.
    """

    def __init__(
        self,
        services: Services,
        request_guard: RequestGuard,
        *,
        random_bytes: Callable[[int], bytes],
        metrics: HttpMetrics,
        logs_access: bool = False,
        tracing: Tracing | None = None,
    ) -> None:
        self._metrics = metrics
        self._now_s = metrics.now_s
        self._count = metrics.note
        self._logs_access = logs_access
        self._tracing = tracing
        self._is_watched = logs_access or tracing is not None
        self._services = services
        self._request_guard = request_guard
        self._random_bytes = random_bytes

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        began_s = self._now_s()
        request_id = self._request_id(request)
        span = None if self._tracing is None else self._tracing.begin_request(request.method, request.headers)
        context = self._request_guard.meet(request)
        try:
            route = await self._request_guard.admit(request, context)
            if route.operation is None:
                response = await self._refuse(_has_no_head(), context, request_id)
            else:
                answer = await route.operation(self._services, context)
                if context.keeps_token_in_cookie:
                    answer = _kept_in_cookie(answer, context, self._services.cookies)
                response = _response(answer, context, request_id)
        except Refusal as refusal:
            response = await self._refuse(refusal, context, request_id)
        except Exception:  # noqa: BLE001 - whatever it was, the client gets the envelope and the log the rest
            response = _failed(request, context, request_id)
        found: Route | None = context.route
        if found is None or self._is_watched:
            self._note(request, context, response.status, request_id, began_s, span)
        else:
            self._count(found.path, found.method, response.status, began_s)
        return response

    def has_feed(self, method: str, path: str) -> bool:
        """Whether that is a live stream, to be followed, rather than a call, to be handled."""
        return self._request_guard.router.has_feed(method, path)

    @asynccontextmanager
    async def follow(self, request: HttpRequest) -> AsyncIterator[Feed | HttpResponse]:
        """Open a live feed for as long as the block lasts, or answer why not."""
        opened = await self.open_feed(request)
        try:
            yield opened
        finally:
            if not isinstance(opened, HttpResponse):
                opened.close()

    async def open_feed(self, request: HttpRequest) -> Feed | HttpResponse:
        """Open a live feed, which the caller closes, or answer why not.

        A path that has no feed is answered as `handle` would.
        """
        began_s = self._now_s()
        request_id = self._request_id(request)
        span = None if self._tracing is None else self._tracing.begin_request(request.method, request.headers)
        context = self._request_guard.meet(request)
        opened: Feed | HttpResponse
        try:
            opened = await self._opened(
                await self._request_guard.admit(request, context), context, request_id
            )
        except Refusal as refusal:
            opened = await self._refuse(refusal, context, request_id)
        except Exception:  # noqa: BLE001 - as above
            opened = _failed(request, context, request_id)
        if isinstance(opened, HttpResponse):
            status = opened.status
        else:
            status = 101 if request.method == WEBSOCKET else 200
        self._note(request, context, status, request_id, began_s, span)
        return opened

    async def _opened(self, route: Route, context: RequestContext, request_id: str) -> Feed | HttpResponse:
        if route.operation is not None:
            return _response(await route.operation(self._services, context), context, request_id)
        if route.feed is None:
            return await self._refuse(_has_no_head(), context, request_id)
        feed = await route.feed(self._services, context)
        feed.headers = [("X-Request-Id", request_id), *limit_headers(feed.usage)]
        return feed

    def _note(
        self,
        request: HttpRequest,
        context: RequestContext,
        status: int,
        request_id: str,
        began_s: float,
        span: Any,
    ) -> None:
        """Count a request that is answered; log and trace it where that is asked for.

        Its path and query are told to nobody: ids are in them, and tokens.
        """
        route: Route | None = context.route
        if route is None:
            path, method = NO_ROUTE, known_method(request.method)
        else:
            path, method = route.path, route.method
        took_s = self._metrics.note(path, method, status, began_s)
        if self._logs_access:
            log.info(
                "request",
                method=method,
                route=path,
                status=status,
                ms=round(took_s * 1000, 3),
                client=context.address,
            )
        if self._tracing is not None:
            self._tracing.end_request(span, route=path, method=method, status=status, request_id=request_id)

    async def _refuse(self, refusal: Refusal, context: RequestContext, request_id: str) -> HttpResponse:
        """Answer with an error. One that no script has counted yet is counted here: a flood of bad requests
        is a flood."""
        usage = refusal.usage or context.usage
        if usage is None and not isinstance(refusal, refusals.Unavailable):
            try:
                await self._request_guard.count(context)
            except refusals.RateLimited as limited:
                refusal = limited
            except refusals.Unavailable:
                log.warning("a refused request could not be counted: the store is away")
            usage = context.usage
        if context.route is not None and context.route.refusal_page is not None:
            answer = await context.route.refusal_page(self._services, context, refusal)
            return _response(answer, msgspec.structs.replace(context, usage=usage), request_id)
        return _error(
            wire_form(refusal), refusal.message, refusal.details, refusal_headers(refusal), request_id, usage
        )

    def refuse(self, refusal: Refusal) -> HttpResponse:
        """Refuse a client that has not been heard: one too many, or too slow."""
        request_id = f"req-{self._random_bytes(8).hex()}"
        form = wire_form(refusal)
        self._metrics.note(NO_ROUTE, OTHER_METHOD, form.status, self._metrics.now_s())
        return _error(form, refusal.message, refusal.details, refusal_headers(refusal), request_id, None)

    def _request_id(self, request: HttpRequest) -> str:
        """Take the caller's own id where it brings a harmless one, so that logs on both sides meet; what is
        logged from here on bears it."""
        request_id = request.headers.get("x-request-id")
        if request_id is None or not _REQUEST_ID.fullmatch(request_id):
            request_id = f"req-{self._random_bytes(8).hex()}"
        name_request(request_id)
        return request_id


def _has_no_head() -> Refusal:
    return refusals.MethodNotAllowed("A stream has no head", ("GET",))


def _kept_in_cookie(answer: Answer, context: RequestContext, cookies: PlaceCookies) -> Answer:
    """Put the position token of an answer into a cookie instead; who has left is to forget it."""
    body, queue_id = answer.body, context.parameters["queue_id"]
    token = getattr(body, "token", msgspec.UNSET)
    if isinstance(token, str):
        body = msgspec.structs.replace(body, token=msgspec.UNSET)
        cookie = cookies.place(context.request, queue_id, token)
    elif isinstance(body, CancelResponse):
        cookie = cookies.forget(context.request, queue_id)
    else:
        return answer
    return msgspec.structs.replace(answer, body=body, headers=[*answer.headers, cookie])


def _response(answer: Answer, context: RequestContext, request_id: str) -> HttpResponse:
    usage = answer.usage or context.usage
    more = [*answer.headers, ("Retry-After", str(RETRY_AFTER_S))] if answer.status == 503 else answer.headers
    body = answer.body
    if isinstance(body, Page):
        return HttpResponse(
            answer.status, request_id, usage, body.content, more, body.content_type, body.caching
        )
    return HttpResponse(answer.status, request_id, usage, msgspec.json.encode(body), more)


def _failed(request: HttpRequest, context: RequestContext, request_id: str) -> HttpResponse:
    log.exception("a request failed", request_id=request_id, method=request.method)
    return _error(INTERNAL_ERROR, "Something went wrong on our side", {}, [], request_id, context.usage)


def _error(
    form: WireForm,
    message: str,
    details: dict[str, object],
    headers: list[tuple[str, str]],
    request_id: str,
    usage: Usage | None,
) -> HttpResponse:
    facts = ErrorFacts(code=form.code, message=message, details=details or msgspec.UNSET)
    body = msgspec.json.encode(ErrorResponse(error=facts, request_id=request_id))
    return HttpResponse(form.status, request_id, usage, body, headers)
