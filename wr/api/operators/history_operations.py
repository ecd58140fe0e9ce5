"""The operation that shows a queue's history."""

from wr.api.authenticated_request import AuthenticatedRequest
from wr.api.http_messages import HttpResponse, json_response
from wr.api.operators.history_messages import HistoryPoint, HistoryQuery, HistoryResponse
from wr.api.services import Services
from wr.model.history import HistorySpan, Point
from wr.model.times import rfc3339
from wr.model.whole_numbers import plain


async def queue_history(services: Services, request: AuthenticatedRequest[HistoryQuery]) -> HttpResponse:
    """Show the history of a queue: visitors in line, active sessions and rates, for each step."""
    query = request.message
    span = HistorySpan(query.span)
    queue_id = request.queue_id
    points = await services.operators.history(queue_id, span)
    return json_response(
        200,
        HistoryResponse(
            queue_id=queue_id, span=query.span, step_seconds=span.step_s, points=list(map(_point, points))
        ),
    )


def _point(point: Point) -> HistoryPoint:
    wait_s = point.average_wait_s
    return HistoryPoint(
        at=rfc3339(point.at_ms),
        waiting=point.waiting,
        active=point.active,
        joined_per_second=plain(round(point.joined_per_s, 6)),
        admitted_per_second=plain(round(point.admitted_per_s, 6)),
        expired_per_second=plain(round(point.expired_per_s, 6)),
        cancelled_per_second=plain(round(point.cancelled_per_s, 6)),
        average_wait_seconds=None if wait_s is None else plain(round(wait_s, 3)),
    )
