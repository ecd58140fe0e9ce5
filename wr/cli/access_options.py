"""Options that commands about passes, blocks and sessions share."""

from typing import Any

import click

from wr.cli.durations import Duration
from wr.cli.options import (
    UsageFailure,
)

queue_option = click.option("--queue", "queue_id", metavar="QUEUE", required=True, help="Id of the queue.")
reason_option = click.option("--reason", metavar="TEXT", help="Why; kept in the audit trail.")
block_for_option = click.option(
    "--block-for",
    type=Duration(),
    metavar="DURATION",
    help="Also keep the visitor from joining the queue again for so long, such as 1h.",
)
block_scope_option = click.option(
    "--block", type=click.Choice(["person", "address", "both"]), help="What --block-for keeps out."
)


def check_block_options(wish: dict[str, Any]) -> None:
    """Refuse `--block` without `--block-for`."""
    if "block" in wish and "block_for" not in wish:
        raise UsageFailure("--block needs --block-for, which says for how long")
