"""The operation that lists the audit trail."""

from wr.api.authenticated_request import AuthenticatedRequest
from wr.api.http_messages import HttpResponse, json_response
from wr.api.operators.audit_messages import AuditChange, AuditEntryResponse, AuditQuery, AuditResponse
from wr.api.services import Services
from wr.model.times import rfc3339
from wr.store.audit_repository import KeptEntry


async def audit(services: Services, request: AuthenticatedRequest[AuditQuery]) -> HttpResponse:
    """List the changes that operators made, newest first."""
    query = request.message
    page = await services.operators.audit(queue_id=query.queue_id, limit=query.limit, before=query.before)
    return json_response(200, AuditResponse(entries=list(map(_entry, page.entries)), next=page.next_before))


def _entry(kept: KeptEntry) -> AuditEntryResponse:
    entry = kept.entry
    return AuditEntryResponse(
        id=kept.id,
        at=rfc3339(entry.at_ms),
        operator=entry.operator,
        address=entry.address,
        action=entry.action,
        queue_id=entry.queue_id,
        changes={
            name: AuditChange(before=change.before, after=change.after)
            for name, change in entry.changes.items()
        },
        facts=entry.facts,
    )
