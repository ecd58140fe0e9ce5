"""The operation that counts the places that a shorter heartbeat timeout would end."""

from wr.api.operators.silence_messages import SilentQuery, SilentResponse
from wr.api.request_context import Answer, RequestContext, Services


async def silent(services: Services, context: RequestContext) -> Answer:
    """Count the places that a shorter heartbeat timeout would end. Changes nothing."""
    query: SilentQuery = context.query
    queue_id = context.parameters["queue_id"]
    found = await services.operators.silent(queue_id, query.timeout_seconds)
    return Answer(
        200,
        SilentResponse(
            queue_id=queue_id,
            timeout_seconds=query.timeout_seconds,
            waiting=found.waiting,
            silent=found.silent,
        ),
    )
