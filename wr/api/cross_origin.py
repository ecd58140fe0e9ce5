"""Pages of other sites that may ask this API from a visitor's browser (CORS, of the fetch standard)."""

from collections.abc import Callable

import msgspec

from wr.api.dispatch import Api, Tracing
from wr.api.http_messages import HttpRequest, HttpResponse
from wr.api.live_feed import Feed
from wr.api.request_context import Services
from wr.api.request_guard import RequestGuard
from wr.api.route import BASE
from wr.metrics.server_metrics import HttpMetrics

ANYBODY = "*"
_OPEN_PATHS = (f"{BASE}/queues/", f"{BASE}/sessions/", f"{BASE}/waiting-queue/")
"""What visitors need, of either API. The admin key is for no page but the console, which is of this site."""
_DAY_S = 24 * 3600
_ALLOW = "Access-Control-Allow-Origin"
_SHOWN = "Retry-After, X-Request-Id, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"


class CrossOriginApi(Api):
    """The API for servers that are told of sites whose pages may ask; others pay nothing for it.

    Such pages bring tokens. The cookies of this site are never theirs to use.
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
        """Answer one request, and let the page that asks read the answer if it may."""
        headers = self._headers(request)
        if request.method == "OPTIONS" and _may_ask(headers) and _is_preflight(request):
            return HttpResponse(204, self._request_id(request), None, b"", [*headers, *_PREFLIGHT])
        return _with(await super().handle(request), headers)

    async def open_feed(self, request: HttpRequest) -> Feed | HttpResponse:
        """Open a live feed, which the page that asks may read if it may ask."""
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
        if ANYBODY in self._origins:
            return [(_ALLOW, ANYBODY), ("Access-Control-Expose-Headers", _SHOWN)]
        if origin not in self._origins:
            return [("Vary", "Origin")]
        return [(_ALLOW, origin), ("Access-Control-Expose-Headers", _SHOWN), ("Vary", "Origin")]


_PREFLIGHT = [
    ("Access-Control-Allow-Methods", "GET, POST, DELETE"),
    ("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, X-WR-Pass, X-WR-Token"),
    ("Access-Control-Max-Age", str(_DAY_S)),
]


def _is_preflight(request: HttpRequest) -> bool:
    return "access-control-request-method" in request.headers


def _may_ask(headers: list[tuple[str, str]]) -> bool:
    return bool(headers) and headers[0][0] == _ALLOW


def _with(response: HttpResponse, headers: list[tuple[str, str]]) -> HttpResponse:
    return msgspec.structs.replace(response, more=[*response.more, *headers]) if headers else response
