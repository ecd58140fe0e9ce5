"""The part of the route table about webhooks."""

from collections.abc import Callable
from typing import TypeVar

from wr.api import webhook_messages, webhook_operations
from wr.model import refusals

Made = TypeVar("Made")


def webhook_routes(admin: Callable[..., Made]) -> tuple[Made, ...]:
    """Make the routes; `admin` makes a route of the admin API: method, path, operation and the rest."""
    return (
        admin(
            "POST",
            "/webhooks",
            webhook_operations.add_webhook,
            body=webhook_messages.AddWebhookRequest,
            answers=((201, "Webhook added", webhook_messages.NewWebhookResponse),),
            refusals=(refusals.Conflict,),
        ),
        admin(
            "GET",
            "/webhooks",
            webhook_operations.list_webhooks,
            answers=((200, "Every webhook", webhook_messages.WebhookListResponse),),
        ),
        admin(
            "PATCH",
            "/webhooks/{webhook_id}",
            webhook_operations.change_webhook,
            body=webhook_messages.ChangeWebhookRequest,
            answers=((200, "Webhook changed", webhook_messages.ChangedWebhookResponse),),
            refusals=(refusals.NotFound, refusals.Conflict),
        ),
        admin(
            "DELETE",
            "/webhooks/{webhook_id}",
            webhook_operations.delete_webhook,
            answers=((200, "Webhook deleted", webhook_messages.DeleteWebhookResponse),),
            refusals=(refusals.NotFound,),
        ),
        admin(
            "GET",
            "/webhooks/dead-letters",
            webhook_operations.list_dead_letters,
            query=webhook_messages.DeadLetterQuery,
            answers=((200, "Deliveries that were given up", webhook_messages.DeadLetterListResponse),),
        ),
        admin(
            "POST",
            "/webhooks/dead-letters/{dead_letter_id}/retry",
            webhook_operations.retry_dead_letter,
            answers=((200, "Delivery is tried anew", webhook_messages.DeadLetterGoneResponse),),
            refusals=(refusals.NotFound, refusals.Conflict),
        ),
        admin(
            "DELETE",
            "/webhooks/dead-letters/{dead_letter_id}",
            webhook_operations.discard_dead_letter,
            answers=((200, "Delivery is forgotten", webhook_messages.DeadLetterGoneResponse),),
            refusals=(refusals.NotFound,),
        ),
    )
