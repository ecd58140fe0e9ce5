"""Operations about the service itself: health, verification keys, the OpenAPI document and metrics."""

import msgspec
from msgspec import UNSET

from wr import __version__
from wr.api.http_messages import JSON
from wr.api.request_context import Answer, Page, RequestContext, Services
from wr.api.service.messages import HealthResponse, JwksResponse
from wr.store.health import Condition


async def health(services: Services, _call: RequestContext) -> Answer:
    """Report whether the server can serve visitors: 200, or 503 if the store is unreachable or read-only.

    A full store is reported as a component and still gives 200: all servers refuse new visitors then, and
    serve those with a place. Without NATS the server still serves visitors. So a load balancer does not
    remove the server in these cases.
    """
    condition = await services.store_condition()
    is_healthy = condition is not Condition.UNHEALTHY
    return Answer(
        200 if is_healthy else 503,
        HealthResponse(
            status="healthy" if is_healthy else "unhealthy",
            version=__version__,
            uptime_seconds=int(services.uptime_s()),
            components={
                "dragonflydb": condition.value,
                "nats": services.nats_health(),
            },
            recovering_queues=services.recovering_queues() or UNSET,
        ),
    )


async def jwks(services: Services, _call: RequestContext) -> Answer:
    """Publish the keys that verify session tokens."""
    return Answer(200, JwksResponse(keys=services.signing_keys.ring.jwks()["keys"]))


async def event_schema(_services: Services, _call: RequestContext) -> Answer:
    """Describe the events that are published and delivered, as JSON Schema."""
    # Imported late, because it takes half a megabyte and many servers never need it.
    from wr.model import event_schema as described  # noqa: PLC0415

    return Answer(200, Page(msgspec.json.encode(described.event_schema()), JSON))


async def openapi(services: Services, _call: RequestContext) -> Answer:
    """Describe this API as OpenAPI 3.0.3."""
    return Answer(200, Page(services.openapi, JSON))


async def metrics(services: Services, context: RequestContext) -> Answer:
    """Return all metrics for Prometheus."""
    text, content_type = await services.scrape(context.request.headers.get("accept", ""))
    return Answer(200, Page(text, content_type))
