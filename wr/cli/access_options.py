"""Options that the commands for passes, blocks and sessions share."""

from typing import Any

import click

from wr.cli.durations import Duration
from wr.cli.options import (
    UsageFailure,
)

queue_option = click.option("--queue", "queue_id", metavar="QUEUE", required=True, help="Id of the queue.")
reason_option = click.option("--reason", metavar="TEXT", help="The reason, kept in the audit trail.")
block_for_option = click.option(
    "--block-for",
    type=Duration(),
    metavar="DURATION",
    help="Also block the visitor from joining the queue again for this long, such as 1h.",
)
block_scope_option = click.option(
    "--block",
    type=click.Choice(["person", "address", "both"]),
    help="What --block-for blocks: the visitor, the visitor's address, or both.",
)


def check_block_options(wish: dict[str, Any]) -> None:
    """Refuse `--block` without `--block-for`."""
    if "block" in wish and "block_for" not in wish:
        raise UsageFailure("--block needs --block-for DURATION, such as 1h")
