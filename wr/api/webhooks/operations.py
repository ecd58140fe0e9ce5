"""Operations for managing webhooks and dead letters."""

import msgspec
from msgspec import UNSET

from wr.api.request_context import Answer, RequestContext, Services
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


async def add_webhook(services: Services, context: RequestContext) -> Answer:
    """Add a webhook. Only this response shows the secret that signs its deliveries."""
    body: AddWebhookRequest = context.body
    webhook = await services.webhooks.add(
        context.actor, url=body.url, events=body.events, queue_id=body.queue_id
    )
    return Answer(
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


async def list_webhooks(services: Services, _call: RequestContext) -> Answer:
    """List the webhooks, without their secrets."""
    return Answer(200, WebhookListResponse(webhooks=list(map(_webhook, await services.webhooks.all()))))


async def change_webhook(services: Services, context: RequestContext) -> Answer:
    """Change a webhook. Waiting events are still delivered. Only this response shows a new secret."""
    body: ChangeWebhookRequest = context.body
    changes = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not UNSET}
    rotate_secret = bool(changes.pop("rotate_secret"))
    webhook = await services.webhooks.change(
        context.actor, context.parameters["webhook_id"], changes, rotate_secret=rotate_secret
    )
    return Answer(
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


async def delete_webhook(services: Services, context: RequestContext) -> Answer:
    """Delete a webhook. Its undelivered events are dropped."""
    webhook_id = context.parameters["webhook_id"]
    await services.webhooks.delete(context.actor, webhook_id)
    return Answer(200, DeleteWebhookResponse(id=webhook_id))


async def list_dead_letters(services: Services, context: RequestContext) -> Answer:
    """List dead letters: deliveries that the server gave up. Newest first."""
    query: DeadLetterQuery = context.query
    dead_letters = await services.webhooks.dead_letters(query.webhook_id)
    return Answer(200, DeadLetterListResponse(dead_letters=list(map(_letter, dead_letters))))


async def retry_dead_letter(services: Services, context: RequestContext) -> Answer:
    """Deliver a dead letter again. If that fails, it becomes a dead letter again."""
    letter_id = context.parameters["dead_letter_id"]
    letter = await services.webhooks.retry(context.actor, letter_id)
    return Answer(200, DeadLetterGoneResponse(id=letter_id, event_id=letter.event_id, status="retrying"))


async def discard_dead_letter(services: Services, context: RequestContext) -> Answer:
    """Discard a dead letter."""
    letter_id = context.parameters["dead_letter_id"]
    letter = await services.webhooks.discard(context.actor, letter_id)
    return Answer(200, DeadLetterGoneResponse(id=letter_id, event_id=letter.event_id, status="discarded"))


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
