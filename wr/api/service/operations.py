"""Operations about the service itself: health, verification keys, the OpenAPI document and metrics."""

import msgspec
from msgspec import UNSET

from wr import __version__
from wr.api.authenticated_request import AuthenticatedRequest
from wr.api.http_messages import HttpResponse, json_response
from wr.api.service.messages import HealthResponse, JwksResponse
from wr.api.services import Services
from wr.store.health import Condition


async def health(services: Services, _request: AuthenticatedRequest[None]) -> HttpResponse:
    """Report whether the server can serve visitors: 200, or 503 if the store is unreachable or read-only.

    A full store is reported as a component and still gives 200: all servers refuse new visitors then, and
    serve those with a place. Without NATS the server still serves visitors. So a load balancer does not
    remove the server in these cases.
    """
    found = await services.health.check()
    is_healthy = found.store is not Condition.UNHEALTHY
    return json_response(
        200 if is_healthy else 503,
        HealthResponse(
            status="healthy" if is_healthy else "unhealthy",
            version=__version__,
            uptime_seconds=int(found.uptime_s),
            components={
                "dragonflydb": found.store.value,
                "nats": found.nats,
            },
            recovering_queues=found.recovering_queues or UNSET,
        ),
    )


async def jwks(services: Services, _request: AuthenticatedRequest[None]) -> HttpResponse:
    """Publish the keys that verify session tokens."""
    return json_response(200, JwksResponse(keys=services.signing_keys.ring.jwks()["keys"]))


async def event_schema(_services: Services, _request: AuthenticatedRequest[None]) -> HttpResponse:
    """Describe the events that are published and delivered, as JSON Schema."""
    # Imported late, because it takes half a megabyte and many servers never need it.
    from wr.model import event_schema as described  # noqa: PLC0415

    return HttpResponse(200, msgspec.json.encode(described.event_schema()))


async def openapi(services: Services, _request: AuthenticatedRequest[None]) -> HttpResponse:
    """Describe this API as OpenAPI 3.0.3."""
    return HttpResponse(200, services.openapi)


async def metrics(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Return all metrics for Prometheus."""
    text, content_type = await services.metrics.exposition(request.http.headers.get("accept", ""))
    return HttpResponse(200, text, content_type)
