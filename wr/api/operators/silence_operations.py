"""The operation that counts the visitors that a shorter heartbeat timeout would drop."""

from wr.api.authenticated_request import AuthenticatedRequest
from wr.api.http_messages import HttpResponse, json_response
from wr.api.operators.silence_messages import SilentQuery, SilentResponse
from wr.api.services import Services


async def silent(services: Services, request: AuthenticatedRequest[SilentQuery]) -> HttpResponse:
    """Tell how many of those who wait a shorter heartbeat timeout would cost. Changes nothing."""
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
