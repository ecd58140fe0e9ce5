"""`wr webhook`: manages webhooks and their dead letters, which are deliveries that failed at every try."""

from typing import Any

import click
from msgspec import Struct

from wr.cli.options import OrderedGroup, UsageFailure, admin_command
from wr.client.admin_client import AdminClient

_webhook_id = click.argument("webhook_id", metavar="WEBHOOK", help="Id of the webhook.")
_letter_id = click.argument("letter_id", metavar="DELIVERY", help="Id of the delivery.")


@click.group(cls=OrderedGroup)
def webhook() -> None:
    """Post events to URLs, and handle failed deliveries."""


@webhook.command("add")
@click.argument("target", metavar="TARGET", help="URL to which the server posts events.")
@click.option(
    "--event",
    "events",
    multiple=True,
    default=("*",),
    show_default=True,
    metavar="TYPE",
    help="Event type, or a pattern such as 'position.*'. Can be given several times.",
)
@click.option("--queue", "queue_id", metavar="QUEUE", default="", help="Events of this queue only.")
@admin_command
def add_webhook(api: AdminClient, target: str, events: tuple[str, ...], queue_id: str) -> Struct:
    """Add a URL to which the server posts events. Shows the signing secret, only now."""
    return api.add_webhook(url=target, events=events, queue_id=queue_id)


@webhook.command("list")
@admin_command
def list_webhooks(api: AdminClient) -> Struct:
    """List the webhooks, without their secrets."""
    return api.webhooks()


@webhook.command("change")
@_webhook_id
@click.option("--target", metavar="TARGET", help="URL to which the server posts events.")
@click.option(
    "--event",
    "events",
    multiple=True,
    default=None,
    metavar="TYPE",
    help="Event type, or a pattern such as 'position.*'. Can be given several times. Replaces all old types.",
)
@click.option("--queue", "queue_id", metavar="QUEUE", help="Events of this queue only; '' for all queues.")
@click.option("--rotate-secret", is_flag=True, help="Sign with a new secret from now on, shown only now.")
@admin_command
def change_webhook(api: AdminClient, webhook_id: str, rotate_secret: bool, **wish: Any) -> Struct:
    """Change a webhook or its secret. Waiting deliveries are kept."""
    names = {"target": "url", "events": "events", "queue_id": "queue_id"}
    changes: dict[str, object] = {
        names[name]: value for name, value in wish.items() if value not in (None, ())
    }
    if rotate_secret:
        changes["rotate_secret"] = True
    if not changes:
        raise UsageFailure("nothing to change: give --target, --event, --queue or --rotate-secret")
    return api.change_webhook(webhook_id, changes)


@webhook.command("delete")
@_webhook_id
@admin_command
def delete_webhook(api: AdminClient, webhook_id: str) -> Struct:
    """Delete a webhook and its undelivered events."""
    return api.delete_webhook(webhook_id)


@webhook.command("dead")
@click.option(
    "--webhook", "webhook_id", metavar="WEBHOOK", default="", help="Dead letters of this webhook only."
)
@admin_command
def dead_letters(api: AdminClient, webhook_id: str) -> Struct:
    """List dead letters, newest first.

    A dead letter is a delivery that failed at every try.
    """
    return api.dead_letters(webhook_id=webhook_id)


@webhook.command("retry")
@_letter_id
@admin_command
def retry_delivery(api: AdminClient, letter_id: str) -> Struct:
    """Try a dead letter again."""
    return api.retry_delivery(letter_id)


@webhook.command("discard")
@_letter_id
@admin_command
def discard_delivery(api: AdminClient, letter_id: str) -> Struct:
    """Discard a dead letter."""
    return api.discard_delivery(letter_id)
