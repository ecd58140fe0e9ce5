"""Lets pages of other sites call this API from a visitor's browser (CORS, part of the Fetch standard)."""

from collections.abc import Callable

import msgspec

from wr.api.dispatch import Api, Tracing
from wr.api.http_messages import HttpRequest, HttpResponse
from wr.api.live_feed import Feed
from wr.api.request_context import Services
from wr.api.request_guard import RequestGuard
from wr.api.route import BASE
from wr.metrics.server_metrics import HttpMetrics

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
        request_guard: RequestGuard,
        *,
        origins: tuple[str, ...],
        random_bytes: Callable[[int], bytes],
        metrics: HttpMetrics,
        logs_access: bool = False,
        tracing: Tracing | None = None,
    ) -> None:
        super().__init__(
            services,
            request_guard,
            random_bytes=random_bytes,
            metrics=metrics,
            logs_access=logs_access,
            tracing=tracing,
        )
        self._origins = frozenset(origins)

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """Answer one request, with CORS headers if the page's origin is allowed."""
        headers = self._headers(request)
        if request.method == "OPTIONS" and _is_allowed(headers) and _is_preflight(request):
            return HttpResponse(204, self._request_id(request), None, b"", [*headers, *_PREFLIGHT])
        return _with(await super().handle(request), headers)

    async def open_feed(self, request: HttpRequest) -> Feed | HttpResponse:
        """Open a live feed, with CORS headers if the page's origin is allowed."""
        opened = await super().open_feed(request)
        headers = self._headers(request)
        if isinstance(opened, HttpResponse):
            return _with(opened, headers)
        opened.headers = [*opened.headers, *headers]
        return opened

    def _headers(self, request: HttpRequest) -> list[tuple[str, str]]:
        origin = request.headers.get("origin")
        if origin is None or not request.path.startswith(_OPEN_PATHS):
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


def _is_preflight(request: HttpRequest) -> bool:
    return "access-control-request-method" in request.headers


def _is_allowed(headers: list[tuple[str, str]]) -> bool:
    return bool(headers) and headers[0][0] == _ALLOW


def _with(response: HttpResponse, headers: list[tuple[str, str]]) -> HttpResponse:
    return msgspec.structs.replace(response, more=[*response.more, *headers]) if headers else response
