"""`wr rehearse`: what the operator types. What it does is loaded when it is needed."""

import secrets
import sys
from pathlib import Path

import click

from wr.command_options import GroupedCommand, GroupedOption, UsageFailure, server_options
from wr.rehearse.plan import MOST_VISITORS

BROKEN = 1
INTERRUPTED = 130
"""Exit codes, beside 0 for a sale without a broken promise and 2 for one that cannot be played."""


@click.command("rehearse", cls=GroupedCommand)
@click.option(
    "--queue",
    "queue_id",
    cls=GroupedOption,
    heading="Sale",
    default="demo",
    show_default=True,
    metavar="QUEUE",
    help="Id of the queue to play on.",
)
@click.option(
    "--visitors",
    cls=GroupedOption,
    heading="Sale",
    type=click.IntRange(1, MOST_VISITORS),
    default=5000,
    show_default=True,
    metavar="NUMBER",
    help="How many come.",
)
@click.option(
    "--join-rate",
    cls=GroupedOption,
    heading="Sale",
    type=click.FloatRange(0, 100_000, min_open=True),
    default=500.0,
    show_default=True,
    metavar="NUMBER",
    help="How many come per second, on average.",
)
@click.option(
    "--seed",
    cls=GroupedOption,
    heading="Sale",
    type=int,
    metavar="NUMBER",
    help="Play the same sale again: the seed that an earlier one named.",
)
@click.option(
    "--live",
    "is_live",
    cls=GroupedOption,
    heading="Sale",
    is_flag=True,
    help="Let visitors wait on WebSockets, as the waiting page does, instead of polling.",
)
@server_options
def rehearse(
    queue_id: str,
    visitors: int,
    join_rate: float,
    seed: int | None,
    is_live: bool,
    url: str,
    admin_key: str,
    data_dir: Path,
) -> None:
    """Play a whole sale against a running server and judge it.

    Visitors of all priorities join, send heartbeats, leave, fall silent, come back, get in, use their session
    and finish, over real HTTP. It is judged only by what can be seen from outside. Play it on a queue with
    the settings of the real sale, before the real sale.

    Exit code 0: no promise was broken. 1: one was, and the last lines say which. 2: it could not be played.
    130: it was interrupted.
    """
    from wr.rehearse.performance import CannotPlay, perform  # noqa: PLC0415 - takes long to load, help needs none

    if seed is None:
        seed = secrets.randbelow(2**32)
    try:
        verdict = perform(queue_id, visitors, join_rate, seed, url, admin_key, data_dir, is_live=is_live)
    except CannotPlay as failure:
        raise UsageFailure(str(failure)) from failure
    if verdict.broken:
        sys.exit(BROKEN)
    if verdict.is_interrupted:
        sys.exit(INTERRUPTED)
