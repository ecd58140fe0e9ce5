"""The command: a fuzz run from outside, bounded and seeded."""

import random
import sys
import tempfile
from pathlib import Path

import click

from tests.hostile.fuzzing.corpus import TARGETS
from tests.hostile.fuzzing.reports import kept, report
from tests.hostile.fuzzing.run import Plan, fuzz, replay
from tests.hostile.fuzzing.watch import MOST_GROWTH_MIB

LANES = {"fast": ("fast",), "general": ("general",), "both": ("fast", "general")}


def _targets(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    named = tuple(dict.fromkeys(each.strip() for each in value.split(",")))
    unknown = set(named) - set(TARGETS)
    if unknown:
        raise click.BadParameter(f"{', '.join(sorted(unknown))}: not one of {', '.join(TARGETS)}")
    return named


@click.command(
    epilog="Exit code 0: every promise was kept. 1: one was broken; the bytes that did it are in the file "
    "that is named. 2: the options are wrong."
)
@click.option("--seconds", default=60.0, show_default=True, help="How long to send, over all lanes.")
@click.option("--seed", type=int, help="Makes the same cases again; unless given, one is drawn and told.")
@click.option(
    "--lane",
    type=click.Choice(list(LANES)),
    default="both",
    show_default=True,
    help="The server's lane: fast, general (a server with the fast lane off), or one after the other.",
)
@click.option(
    "--target",
    "targets",
    default=",".join(TARGETS),
    show_default=True,
    callback=_targets,
    help="What to send: http, websocket, http2, separated by commas.",
)
@click.option(
    "--memory", default=float(MOST_GROWTH_MIB), show_default=True, help="MiB that the server may grow by."
)
@click.option(
    "--replay",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Send the cases of this file instead, which an earlier run wrote.",
)
def main(
    seconds: float, seed: int | None, lane: str, targets: tuple[str, ...], memory: float, file: Path | None
) -> None:
    """Send a server what no client would, and see that it bears it.

    Starts servers of its own on free ports of this machine, each with a store and a data folder of its own,
    and sends mutated requests, WebSocket frames and HTTP/2 frames to them: whole, in pieces, drop by drop,
    closed early, never read. All the while the process must live, its memory stay bounded, its log be without
    a traceback, no answer be a fault of the server's, and another visitor be served within a second.
    """
    seed = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    lanes = LANES[lane]
    say(f"seed {seed}, {', '.join(targets)}")
    for each in lanes:
        plan = Plan(seed, each, targets, seconds / len(lanes), memory)
        with tempfile.TemporaryDirectory(prefix="wr-fuzz-") as folder:
            if file is None:
                outcome = fuzz(plan, Path(folder), say)
            else:
                outcome = replay(kept(file), plan, Path(folder), say)
        for line in report(outcome, plan):
            say(line)
        if outcome.finding is not None:
            sys.exit(1)


def say(text: str) -> None:
    """Tell how it goes."""
    click.echo(f"fuzz: {text}", err=True)


if __name__ == "__main__":
    main()
