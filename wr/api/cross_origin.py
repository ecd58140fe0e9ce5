"""Lets pages of other sites call this API from a visitor's browser (CORS, part of the Fetch standard)."""

from collections.abc import Callable
from functools import partial

from wr.api.dispatch import Api, Client, LaterResponse
from wr.api.http_messages import Headers, HttpRequest, HttpResponse
from wr.api.live_feed import Feed
from wr.api.request_guard import RequestGuard
from wr.api.route import BASE
from wr.api.services import Services
from wr.metrics.server_metrics import HttpMetrics
from wr.tracing.tracer import Tracer

ANY_ORIGIN = "*"
_OPEN_PATHS = (f"{BASE}/queues/", f"{BASE}/sessions/", f"{BASE}/waiting-queue/")
"""The paths that visitors need, of both APIs. Paths for operators are not open, because only the console may
use the admin key, and the console is a page of this server."""
_DAY_S = 24 * 3600
_ALLOW = "Access-Control-Allow-Origin"
_EXPOSED_HEADERS = "Retry-After, X-Request-Id, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"


class CrossOriginApi(Api):
    """The API with CORS headers, for servers with configured origins. Others use `Api`, without the cost.

    Pages of other sites must send tokens. They can never use the cookies of this server.
    """

    def __init__(
        self,
        services: Services,
        guard: RequestGuard,
        *,
        origins: tuple[str, ...],
        random_bytes: Callable[[int], bytes],
        metrics: HttpMetrics,
        logs_access: bool = False,
        tracer: Tracer | None = None,
    ) -> None:
        super().__init__(
            services,
            guard,
            random_bytes=random_bytes,
            metrics=metrics,
            logs_access=logs_access,
            tracer=tracer,
        )
        self._origins = frozenset(origins)

    async def handle(self, http: HttpRequest) -> HttpResponse:
        """Answer one request, with CORS headers if the page's origin is allowed."""
        headers = self._headers(http)
        if _is_preflight(http, headers):
            return self._allow(http, headers)
        return _with(await super().handle(http), headers)

    def begin(self, http: HttpRequest, client: Client) -> None:
        """Answer one request as `Api.begin`, with CORS headers if the page's origin is allowed."""
        headers = self._headers(http)
        if _is_preflight(http, headers):
            client.respond(self._allow(http, headers))
        else:
            super().begin(http, _ClientOfPage(client, headers) if headers else client)

    def _allow(self, http: HttpRequest, headers: Headers) -> HttpResponse:
        """Answer a browser that asks whether a page may send a request."""
        response = HttpResponse(204, b"", extra_headers=[*headers, *_PREFLIGHT])
        response.request_id = self._request_id(http)
        return response

    async def open_feed(self, http: HttpRequest) -> Feed | HttpResponse:
        """Open a live feed, with CORS headers if the page's origin is allowed."""
        opened = await super().open_feed(http)
        headers = self._headers(http)
        if isinstance(opened, HttpResponse):
            opened.extra_headers = [*opened.extra_headers, *headers]
        else:
            opened.headers = [*opened.headers, *headers]
        return opened

    def _headers(self, http: HttpRequest) -> Headers:
        origin = http.headers.get("origin")
        if origin is None or not http.path.startswith(_OPEN_PATHS):
            return []
        if ANY_ORIGIN in self._origins:
            return [(_ALLOW, ANY_ORIGIN), ("Access-Control-Expose-Headers", _EXPOSED_HEADERS)]
        if origin not in self._origins:
            return [("Vary", "Origin")]
        return [(_ALLOW, origin), ("Access-Control-Expose-Headers", _EXPOSED_HEADERS), ("Vary", "Origin")]


_PREFLIGHT = [
    ("Access-Control-Allow-Methods", "GET, POST, DELETE"),
    ("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, X-WR-Pass, X-WR-Token"),
    ("Access-Control-Max-Age", str(_DAY_S)),
]


class _ClientOfPage:
    """The connection of a browser that sends a request for a page of another site."""

    __slots__ = ("_client", "_headers")

    def __init__(self, client: Client, headers: Headers) -> None:
        self._client = client
        self._headers = headers

    def respond(self, response: HttpResponse) -> None:
        """Send the response, with CORS headers."""
        self._client.respond(_with(response, self._headers))

    def respond_later(self, work: LaterResponse) -> None:
        """Send the response of this work, with CORS headers."""
        self._client.respond_later(partial(_with_later, work, self._headers))


async def _with_later(work: LaterResponse, headers: Headers) -> HttpResponse:
    return _with(await work(), headers)


def _with(response: HttpResponse, headers: Headers) -> HttpResponse:
    response.extra_headers = [*response.extra_headers, *headers]
    return response


def _is_preflight(http: HttpRequest, headers: Headers) -> bool:
    """Whether a browser asks whether a page, whose origin is allowed, may send a request."""
    is_allowed = bool(headers) and headers[0][0] == _ALLOW
    return http.method == "OPTIONS" and is_allowed and "access-control-request-method" in http.headers
