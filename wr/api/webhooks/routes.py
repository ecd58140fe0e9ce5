"""Routes for managing webhooks and dead letters."""

from wr.api.message_readers import NOTHING, Body, Query
from wr.api.route import admin_route
from wr.api.webhooks import messages, operations
from wr.model import refusals

WEBHOOK_ROUTES = (
    admin_route(
        "POST",
        "/webhooks",
        operations.add_webhook,
        reads=Body(messages.AddWebhookRequest),
        answers=((201, "Webhook added", messages.NewWebhookResponse),),
        refusals=(refusals.Conflict,),
    ),
    admin_route(
        "GET",
        "/webhooks",
        operations.list_webhooks,
        reads=NOTHING,
        answers=((200, "All webhooks", messages.WebhookListResponse),),
    ),
    admin_route(
        "PATCH",
        "/webhooks/{webhook_id}",
        operations.change_webhook,
        reads=Body(messages.ChangeWebhookRequest),
        answers=((200, "Webhook changed", messages.ChangedWebhookResponse),),
        refusals=(refusals.NotFound, refusals.Conflict),
    ),
    admin_route(
        "DELETE",
        "/webhooks/{webhook_id}",
        operations.delete_webhook,
        reads=NOTHING,
        answers=((200, "Webhook deleted", messages.DeleteWebhookResponse),),
        refusals=(refusals.NotFound,),
    ),
    admin_route(
        "GET",
        "/webhooks/dead-letters",
        operations.list_dead_letters,
        reads=Query(messages.DeadLetterQuery),
        answers=((200, "Dead letters", messages.DeadLetterListResponse),),
    ),
    admin_route(
        "POST",
        "/webhooks/dead-letters/{dead_letter_id}/retry",
        operations.retry_dead_letter,
        reads=NOTHING,
        answers=((200, "Dead letter is delivered again", messages.DeadLetterGoneResponse),),
        refusals=(refusals.NotFound, refusals.Conflict),
    ),
    admin_route(
        "DELETE",
        "/webhooks/dead-letters/{dead_letter_id}",
        operations.discard_dead_letter,
        reads=NOTHING,
        answers=((200, "Dead letter discarded", messages.DeadLetterGoneResponse),),
        refusals=(refusals.NotFound,),
    ),
)
