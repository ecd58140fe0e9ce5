"""Operations that need no token of a visitor: health, verification keys, the OpenAPI document, metrics."""

import msgspec
from msgspec import UNSET

from wr import __version__
from wr.api.http_messages import JSON
from wr.api.request_context import Answer, Page, RequestContext, Services
from wr.api.service.messages import HealthResponse, JwksResponse
from wr.store.health import Condition


async def health(services: Services, _call: RequestContext) -> Answer:
    """Tell whether visitors are served: 200 when they are, 503 while the store is away or takes no writes.

    A full store, which the component says, refuses joins on every server, and serves those with a place.
    Without NATS people are served all the same. So neither has a load balancer take the server out.
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
    # Half a megabyte that many a server never needs.
    from wr.model import event_schema as described  # noqa: PLC0415

    return Answer(200, Page(msgspec.json.encode(described.event_schema()), JSON))


async def openapi(services: Services, _call: RequestContext) -> Answer:
    """Describe this API as OpenAPI 3.0.3."""
    return Answer(200, Page(services.openapi, JSON))


async def metrics(services: Services, context: RequestContext) -> Answer:
    """Tell Prometheus everything that is counted and timed."""
    text, content_type = await services.scrape(context.request.headers.get("accept", ""))
    return Answer(200, Page(text, content_type))
