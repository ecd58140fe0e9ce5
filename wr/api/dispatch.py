"""From request to response: the reception, the operation, the envelope."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import structlog

from wr.api.calls import Answer, Call, Page, Services
from wr.api.cookies import PlaceCookies
from wr.api.errors import INTERNAL_ERROR, RETRY_AFTER_S, WireForm, refusal_headers, wire_form
from wr.api.feeds import Feed
from wr.api.http import HttpRequest, HttpResponse, limit_headers
from wr.api.messages import CancelResponse, ErrorFacts, ErrorResponse
from wr.api.reception import Reception
from wr.model import refusals
from wr.model.limits import Usage
from wr.model.refusals import Refusal

log = structlog.get_logger("wr.api")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Api:
    """Answers requests. Whatever happens, the answer is a response of the contract's form."""

    def __init__(
        self, services: Services, reception: Reception, *, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._services = services
        self._reception = reception
        self._random_bytes = random_bytes

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        request_id = self._request_id(request)
        call = self._reception.meet(request)
        try:
            route = await self._reception.admit(request, call)
            if route.operation is None:
                return await self._refuse(_has_no_head(), call, request_id)
            answer = await route.operation(self._services, call)
            if call.keeps_token_in_cookie:
                answer = _kept_in_cookie(answer, call, self._services.cookies)
            return _response(answer, call, request_id)
        except Refusal as refusal:
            return await self._refuse(refusal, call, request_id)
        except Exception:  # noqa: BLE001 - whatever it was, the client gets the envelope and the log the rest
            return _failed(request, call, request_id)

    def has_feed(self, method: str, path: str) -> bool:
        """Whether that is a live stream, to be followed, rather than a call, to be handled."""
        return self._reception.router.has_feed(method, path)

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
        request_id = self._request_id(request)
        call = self._reception.meet(request)
        try:
            route = await self._reception.admit(request, call)
            if route.operation is not None:
                return _response(await route.operation(self._services, call), call, request_id)
            if route.feed is None:
                return await self._refuse(_has_no_head(), call, request_id)
            feed = await route.feed(self._services, call)
        except Refusal as refusal:
            return await self._refuse(refusal, call, request_id)
        except Exception:  # noqa: BLE001 - as above
            return _failed(request, call, request_id)
        feed.headers = [("X-Request-Id", request_id), *limit_headers(feed.usage)]
        return feed

    async def _refuse(self, refusal: Refusal, call: Call, request_id: str) -> HttpResponse:
        """Answer with an error. One that no script has counted yet is counted here: a flood of bad requests
        is a flood."""
        usage = refusal.usage or call.usage
        if usage is None and not isinstance(refusal, refusals.Unavailable):
            try:
                await self._reception.count(call)
            except refusals.RateLimited as limited:
                refusal = limited
            except refusals.Unavailable:
                log.warning("a refused request could not be counted: the store is away")
            usage = call.usage
        if call.route is not None and call.route.refusal_page is not None:
            answer = await call.route.refusal_page(self._services, call, refusal)
            return _response(answer, msgspec.structs.replace(call, usage=usage), request_id)
        return _error(
            wire_form(refusal), refusal.message, refusal.details, refusal_headers(refusal), request_id, usage
        )

    def refuse(self, refusal: Refusal) -> HttpResponse:
        """Refuse a client that has not been heard: one too many, or too slow."""
        request_id = f"req-{self._random_bytes(8).hex()}"
        return _error(
            wire_form(refusal), refusal.message, refusal.details, refusal_headers(refusal), request_id, None
        )

    def _request_id(self, request: HttpRequest) -> str:
        """Take the caller's own id where it brings a harmless one, so that logs on both sides meet."""
        given = request.headers.get("x-request-id")
        if given is not None and _REQUEST_ID.fullmatch(given):
            return given
        return f"req-{self._random_bytes(8).hex()}"


def _has_no_head() -> Refusal:
    return refusals.MethodNotAllowed("A stream has no head", ("GET",))


def _kept_in_cookie(answer: Answer, call: Call, cookies: PlaceCookies) -> Answer:
    """Put the position token of an answer into a cookie instead; who has left is to forget it."""
    body, queue_id = answer.body, call.parameters["queue_id"]
    token = getattr(body, "token", msgspec.UNSET)
    if isinstance(token, str):
        body = msgspec.structs.replace(body, token=msgspec.UNSET)
        cookie = cookies.place(call.request, queue_id, token)
    elif isinstance(body, CancelResponse):
        cookie = cookies.forget(call.request, queue_id)
    else:
        return answer
    return msgspec.structs.replace(answer, body=body, headers=[*answer.headers, cookie])


def _response(answer: Answer, call: Call, request_id: str) -> HttpResponse:
    usage = answer.usage or call.usage
    more = [*answer.headers, ("Retry-After", str(RETRY_AFTER_S))] if answer.status == 503 else answer.headers
    body = answer.body
    if isinstance(body, Page):
        return HttpResponse(
            answer.status, request_id, usage, body.content, more, body.content_type, body.caching
        )
    return HttpResponse(answer.status, request_id, usage, msgspec.json.encode(body), more)


def _failed(request: HttpRequest, call: Call, request_id: str) -> HttpResponse:
    log.exception("a request failed", request_id=request_id, method=request.method)
    return _error(INTERNAL_ERROR, "Something went wrong on our side", {}, [], request_id, call.usage)


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
