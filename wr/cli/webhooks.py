"""`wr webhook`: who is told of events, and what could not be delivered."""

from typing import Any

import click
from msgspec import Struct

from wr.cli.options import OrderedGroup, UsageFailure, admin_command
from wr.client.admin_client import AdminClient

_webhook_id = click.argument("webhook_id", metavar="WEBHOOK", help="Id of the webhook.")
_letter_id = click.argument("letter_id", metavar="DELIVERY", help="Id of the delivery.")


@click.group(cls=OrderedGroup)
def webhook() -> None:
    """Have events posted to URLs; see what could not be delivered."""


@webhook.command("add")
@click.argument("target", metavar="TARGET", help="URL that events are posted to.")
@click.option(
    "--event",
    "events",
    multiple=True,
    default=("*",),
    show_default=True,
    metavar="TYPE",
    help="Type of events, or a pattern such as 'position.*'; may be given again.",
)
@click.option("--queue", "queue_id", metavar="QUEUE", default="", help="Events of this queue only.")
@admin_command
def add_webhook(api: AdminClient, target: str, events: tuple[str, ...], queue_id: str) -> Struct:
    """Have events posted to a URL; shows their secret, once."""
    return api.add_webhook(url=target, events=events, queue_id=queue_id)


@webhook.command("list")
@admin_command
def list_webhooks(api: AdminClient) -> Struct:
    """List the webhooks, without their secrets."""
    return api.webhooks()


@webhook.command("change")
@_webhook_id
@click.option("--target", metavar="TARGET", help="URL that events are posted to.")
@click.option(
    "--event",
    "events",
    multiple=True,
    default=None,
    metavar="TYPE",
    help="Type of events, or a pattern such as 'position.*'; may be given again, and replaces what was.",
)
@click.option("--queue", "queue_id", metavar="QUEUE", help="Events of this queue only; '' for all queues.")
@click.option("--rotate-secret", is_flag=True, help="Sign with a new secret from now on; it is shown, once.")
@admin_command
def change_webhook(api: AdminClient, webhook_id: str, rotate_secret: bool, **wish: Any) -> Struct:
    """Change a webhook, or its secret; nothing that waits is dropped."""
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
    """Delete a webhook; what was not delivered to it is dropped."""
    return api.delete_webhook(webhook_id)


@webhook.command("dead")
@click.option("--webhook", "webhook_id", metavar="WEBHOOK", default="", help="Of this webhook only.")
@admin_command
def dead_letters(api: AdminClient, webhook_id: str) -> Struct:
    """List the deliveries that were given up, newest first."""
    return api.dead_letters(webhook_id=webhook_id)


@webhook.command("retry")
@_letter_id
@admin_command
def retry_delivery(api: AdminClient, letter_id: str) -> Struct:
    """Try a delivery anew that was given up."""
    return api.retry_delivery(letter_id)


@webhook.command("discard")
@_letter_id
@admin_command
def discard_delivery(api: AdminClient, letter_id: str) -> Struct:
    """Forget a delivery that was given up."""
    return api.discard_delivery(letter_id)
