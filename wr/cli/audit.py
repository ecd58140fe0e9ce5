"""`wr audit`: shows who changed what."""

from typing import TYPE_CHECKING

import click
from msgspec import Struct

from wr.cli.options import (
    GroupedCommand,
    admin_command,
)
from wr.client.admin_client import AdminClient

if TYPE_CHECKING:
    pass


@click.command(cls=GroupedCommand)
@click.option("--queue", "queue_id", metavar="QUEUE", default="", help="Changes of this queue only.")
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
    """Show who changed what, newest first.

    Who is what the caller said, as user@host for these commands: all operators have the same key.
    """
    return api.audit(queue_id=queue_id, limit=limit)
