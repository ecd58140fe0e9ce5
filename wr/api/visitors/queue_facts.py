"""The public facts about a queue: the same bytes for all visitors, which proxies may keep for a second."""

from functools import partial

from wr.api.authenticated_request import AuthenticatedRequest
from wr.api.http_messages import HttpResponse, json_response
from wr.api.services import Services
from wr.api.visitors.queue_facts_cache import facts_about
from wr.model.client_address import FORWARDING_HEADER, forwarding
from wr.room.queue_cache import QueueView
from wr.store.store_call import Answer, Later

_KEPT_FOR_A_SECOND = "public, max-age=1"


def queue_facts(services: Services, request: AuthenticatedRequest[None]) -> Answer[HttpResponse]:
    """Return the public facts about a queue. It does not read the store, so it can serve many requests."""
    view = services.visitors.last_seen(request.queue_id)
    if view is None:
        return Later(partial(_facts_later, services, request))
    return _facts(services, request, view)


async def _facts_later(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Tell the facts about a queue that this server has not seen yet."""
    return _facts(services, request, await services.visitors.view(request.queue_id))


def _facts(services: Services, request: AuthenticatedRequest[None], view: QueueView) -> HttpResponse:
    http = request.http
    if FORWARDING_HEADER.lower() in http.headers:
        response = json_response(200, facts_about(view))
        trust = forwarding(http.peer, http.headers.get("x-forwarded-for", ""), services.trusted_proxies)
        response.extra_headers = [(FORWARDING_HEADER, trust)]
        return response
    body, tag = services.queue_facts.of(view)
    status = 304 if http.headers.get("if-none-match") == tag else 200
    headers = [("ETag", tag), ("Vary", f"Origin, {FORWARDING_HEADER}")]
    return HttpResponse(status, body, extra_headers=headers, caching=_KEPT_FOR_A_SECOND)
