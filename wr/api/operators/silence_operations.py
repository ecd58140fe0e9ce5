"""The operation that counts the places that a shorter heartbeat timeout would end."""

from wr.api.authenticated_request import AuthenticatedRequest
from wr.api.http_messages import HttpResponse, json_response
from wr.api.operators.silence_messages import SilentQuery, SilentResponse
from wr.api.services import Services


async def silent(services: Services, request: AuthenticatedRequest[SilentQuery]) -> HttpResponse:
    """Count the places that a shorter heartbeat timeout would end. Changes nothing."""
    query = request.message
    queue_id = request.queue_id
    found = await services.operators.silent(queue_id, query.timeout_seconds)
    return json_response(
        200,
        SilentResponse(
            queue_id=queue_id,
            timeout_seconds=query.timeout_seconds,
            waiting=found.waiting,
            silent=found.silent,
        ),
    )
