"""Operations on a visitor's session: status, activity, end (contract: Session Status to Session Activity)."""

from wr.api.request_context import Answer, RequestContext, Services
from wr.api.visitors.messages import ActivityRequest, ActivityResponse, EndSessionResponse, SessionResponse
from wr.model.ids import id_text, session_id_text
from wr.model.times import rfc3339
from wr.model.tokens import SessionClaims
from wr.store.visit import VisitKind


async def session_status(services: Services, context: RequestContext) -> Answer:
    """Return the state of a session."""
    claims = _session(context)
    standing = await services.visitors.session(claims, VisitKind.STATUS)
    session = standing.place
    return Answer(
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


async def end_session(services: Services, context: RequestContext) -> Answer:
    """End the visitor's own session, to free its slot for another visitor."""
    claims = _session(context)
    left = await services.visitors.leave(claims)
    return Answer(
        200,
        EndSessionResponse(
            session_id=session_id_text(claims.position_id),
            ended_at=rfc3339(left.place.ended_ms),
        ),
        left.usage,
    )


async def session_activity(services: Services, context: RequestContext) -> Answer:
    """Record an activity of the visitor in a session."""
    report: ActivityRequest = context.body
    kind = VisitKind.PAGE_VIEW if report.action == "page_view" else VisitKind.ACTIVITY
    claims = _session(context)
    standing = await services.visitors.session(claims, kind)
    return Answer(
        200,
        ActivityResponse(
            session_id=session_id_text(claims.position_id),
            page_views=standing.place.page_views,
            expires_at=rfc3339(standing.place.expires_ms),
        ),
        standing.usage,
    )


def _session(context: RequestContext) -> SessionClaims:
    if context.session is None:
        raise AssertionError("the route asks for a session token")
    return context.session
