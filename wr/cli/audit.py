"""`wr audit`: shows which operator changed what."""

import click
from msgspec import Struct

from wr.cli.options import (
    GroupedCommand,
    admin_command,
)
from wr.client.admin_client import AdminClient


@click.command(cls=GroupedCommand)
@click.option("--queue", "queue_id", metavar="QUEUE", default="", help="Show changes of this queue only.")
@click.option(
    "--limit",
    type=click.IntRange(1, 200),
    metavar="NUMBER",
    default=20,
    show_default=True,
    help="How many changes to show.",
)
@admin_command
def audit(api: AdminClient, queue_id: str, limit: int) -> Struct:
    """Show which operator changed what, newest first.

    All operators use the same admin key, so the name is what the caller claimed. These commands claim
    user@host.
    """
    return api.audit(queue_id=queue_id, limit=limit)
