"""Operations for managing webhooks and dead letters."""

from msgspec import UNSET

from wr.api.authenticated_request import AuthenticatedRequest
from wr.api.http_messages import HttpResponse, json_response
from wr.api.message_readers import given_fields
from wr.api.services import Services
from wr.api.webhooks.messages import (
    AddWebhookRequest,
    ChangedWebhookResponse,
    ChangeWebhookRequest,
    DeadLetterGoneResponse,
    DeadLetterListResponse,
    DeadLetterQuery,
    DeadLetterResponse,
    DeleteWebhookResponse,
    NewWebhookResponse,
    WebhookListResponse,
    WebhookResponse,
)
from wr.model.times import rfc3339
from wr.model.webhooks import Webhook
from wr.store.dead_letter_repository import KeptLetter


async def add_webhook(services: Services, request: AuthenticatedRequest[AddWebhookRequest]) -> HttpResponse:
    """Add a webhook. Only this response shows the secret that signs its deliveries."""
    body = request.message
    webhook = await services.webhooks.add(
        request.caller.actor, url=body.url, events=body.events, queue_id=body.queue_id
    )
    return json_response(
        201,
        NewWebhookResponse(
            id=webhook.id,
            url=webhook.url,
            events=webhook.events,
            queue_id=webhook.queue_id,
            created_at=rfc3339(webhook.created_ms),
            secret=webhook.secret,
        ),
    )


async def list_webhooks(services: Services, _request: AuthenticatedRequest[None]) -> HttpResponse:
    """List the webhooks, without their secrets."""
    return json_response(
        200, WebhookListResponse(webhooks=list(map(_webhook, await services.webhooks.all())))
    )


async def change_webhook(
    services: Services, request: AuthenticatedRequest[ChangeWebhookRequest]
) -> HttpResponse:
    """Change a webhook. Waiting events are still delivered. Only this response shows a new secret."""
    body = request.message
    changes = given_fields(body)
    rotate_secret = bool(changes.pop("rotate_secret"))
    webhook = await services.webhooks.change(
        request.caller.actor, request.parameters["webhook_id"], changes, rotate_secret=rotate_secret
    )
    return json_response(
        200,
        ChangedWebhookResponse(
            id=webhook.id,
            url=webhook.url,
            events=webhook.events,
            queue_id=webhook.queue_id,
            created_at=rfc3339(webhook.created_ms),
            secret=webhook.secret if rotate_secret else UNSET,
        ),
    )


async def delete_webhook(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Delete a webhook. Its undelivered events are dropped."""
    webhook_id = request.parameters["webhook_id"]
    await services.webhooks.delete(request.caller.actor, webhook_id)
    return json_response(200, DeleteWebhookResponse(id=webhook_id))


async def list_dead_letters(
    services: Services, request: AuthenticatedRequest[DeadLetterQuery]
) -> HttpResponse:
    """List dead letters: deliveries that the server gave up. Newest first."""
    query = request.message
    dead_letters = await services.webhooks.dead_letters(query.webhook_id)
    return json_response(200, DeadLetterListResponse(dead_letters=list(map(_letter, dead_letters))))


async def retry_dead_letter(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Deliver a dead letter again. If that fails, it becomes a dead letter again."""
    letter_id = request.parameters["dead_letter_id"]
    letter = await services.webhooks.retry(request.caller.actor, letter_id)
    return json_response(
        200, DeadLetterGoneResponse(id=letter_id, event_id=letter.event_id, status="retrying")
    )


async def discard_dead_letter(services: Services, request: AuthenticatedRequest[None]) -> HttpResponse:
    """Discard a dead letter."""
    letter_id = request.parameters["dead_letter_id"]
    letter = await services.webhooks.discard(request.caller.actor, letter_id)
    return json_response(
        200, DeadLetterGoneResponse(id=letter_id, event_id=letter.event_id, status="discarded")
    )


def _webhook(webhook: Webhook) -> WebhookResponse:
    return WebhookResponse(
        id=webhook.id,
        url=webhook.url,
        events=webhook.events,
        queue_id=webhook.queue_id,
        created_at=rfc3339(webhook.created_ms),
    )


def _letter(kept: KeptLetter) -> DeadLetterResponse:
    letter = kept.letter
    return DeadLetterResponse(
        id=kept.id,
        webhook_id=letter.webhook_id,
        event_id=letter.event_id,
        event_type=letter.event_type,
        queue_id=letter.queue_id,
        attempts=letter.attempts,
        error=letter.error,
        died_at=rfc3339(letter.died_ms),
        body=letter.body,
    )
