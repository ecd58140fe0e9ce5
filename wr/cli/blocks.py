"""`wr block`: blocks visitors and addresses, lists blocks and ends them."""

from typing import Any

import click
from msgspec import Struct

from wr.cli.access_options import queue_option, reason_option
from wr.cli.durations import Duration
from wr.cli.options import (
    OrderedGroup,
    UsageFailure,
    admin_command,
)
from wr.client.admin_client import AdminClient


@click.group(cls=OrderedGroup)
def block() -> None:
    """Keep visitors and addresses out of a queue for a while."""


@block.command("list")
@queue_option
@admin_command
def list_blocks(api: AdminClient, queue_id: str) -> Struct:
    """List what is blocked from joining a queue, and until when."""
    return api.blocks(queue_id)


@block.command("add")
@queue_option
@click.option("--address", metavar="ADDRESS", help="IPv4 or IPv6 address. An IPv6 address blocks its /64.")
@click.option("--user-id", metavar="TEXT", help="Subject of passes, or user id in calls by the site.")
@click.option(
    "--for", "block_for", type=Duration(), metavar="DURATION", required=True, help="Duration, such as 2h."
)
@reason_option
@admin_command
def add_block(api: AdminClient, queue_id: str, **wish: Any) -> Struct:
    """Block an address, a user id or both from joining.

    Existing places and sessions go on. End a session with `wr session end`.
    """
    if "address" not in wish and "user_id" not in wish:
        raise UsageFailure("give --address, --user-id or both")
    return api.add_block(queue_id, wish)


@block.command("end")
@click.argument("block_id", metavar="BLOCK", help="Id of the block, as `wr block list` shows it.")
@queue_option
@admin_command
def end_block(api: AdminClient, block_id: str, queue_id: str) -> Struct:
    """End a block, so that what it blocked may join again."""
    return api.end_block(queue_id, block_id)
