"""Operations on a visitor's session: status, activity, end (contract: Session Status to Session Activity)."""

from functools import partial

from wr.api.authenticated_request import AuthenticatedRequest
from wr.api.http_messages import HttpResponse, json_response
from wr.api.services import Services
from wr.api.visitors.messages import ActivityRequest, ActivityResponse, EndSessionResponse, SessionResponse
from wr.model.ids import id_text, session_id_text
from wr.model.places import Admitted
from wr.model.times import rfc3339
from wr.model.tokens import SessionClaims
from wr.room.visitors import Standing
from wr.store.store_call import Answer
from wr.store.visit import VisitKind


def session_status(services: Services, request: AuthenticatedRequest[None]) -> Answer[HttpResponse]:
    """Return the state of a session."""
    claims = request.proven_session
    return services.visitors.begin_session(claims, VisitKind.STATUS, partial(_status_told, claims))


def _status_told(claims: SessionClaims, standing: Standing[Admitted]) -> HttpResponse:
    session = standing.place
    return json_response(
        200,
        SessionResponse(
            session_id=session_id_text(claims.position_id),
            queue_id=claims.queue_id,
            position_id=id_text(claims.position_id),
            started_at=rfc3339(session.started_ms),
            expires_at=rfc3339(session.expires_ms),
            last_activity=rfc3339(session.last_activity_ms),
            page_views=session.page_views,
            remaining_seconds=max(0, session.expires_ms - standing.now_ms) // 1000,
        ),
        standing.usage,
    )


async def end_session(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """End the visitor's own session, to free its slot for another visitor."""
    claims = request.proven_session
    left = await services.visitors.leave(claims)
    return json_response(
        200,
        EndSessionResponse(
            session_id=session_id_text(claims.position_id),
            ended_at=rfc3339(left.place.ended_ms),
        ),
        left.usage,
    )


def session_activity(
    services: Services, request: AuthenticatedRequest[ActivityRequest]
) -> Answer[HttpResponse]:
    """Record an activity of the visitor in a session."""
    report = request.message
    kind = VisitKind.PAGE_VIEW if report.action == "page_view" else VisitKind.ACTIVITY
    claims = request.proven_session
    return services.visitors.begin_session(claims, kind, partial(_activity_recorded, claims))


def _activity_recorded(claims: SessionClaims, standing: Standing[Admitted]) -> HttpResponse:
    return json_response(
        200,
        ActivityResponse(
            session_id=session_id_text(claims.position_id),
            page_views=standing.place.page_views,
            expires_at=rfc3339(standing.place.expires_ms),
        ),
        standing.usage,
    )
