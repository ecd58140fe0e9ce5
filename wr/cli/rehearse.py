"""`wr rehearse`: what the operator types. What it does is loaded when it is needed."""

import functools
import secrets
import sys
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from wr.cli.options import GroupedCommand, GroupedOption, UsageFailure, server_options
from wr.rehearse.chaos.faults import MOST_FAULTS, parse_kinds
from wr.rehearse.plan import MOST_VISITORS

if TYPE_CHECKING:
    from wr.rehearse.verdict import Verdict

BROKEN = 1
INTERRUPTED = 130
"""Exit codes, beside 0 for a sale without a broken promise and 2 for one that cannot be played."""


_NOT_WITH_CHAOS = ("queue_id", "join_rate", "is_live", "url", "admin_key", "data_dir")
_ONLY_WITH_CHAOS = ("faults", "every_s", "longest_s", "servers", "store_command")
_OF_CHAOS = (*_ONLY_WITH_CHAOS, "visitors")
_chaos_option = functools.partial(click.option, cls=GroupedOption, heading="Faults")


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
@_chaos_option(
    "--chaos",
    "kinds",
    metavar="FAULTS",
    help="Play the sale on servers and a store that this command starts for itself on this machine, in a "
    "throwaway folder, and have these happen to them: kill-server, freeze-server, stop-server, "
    "kill-store, freeze-store, forget-store, rewind-store, power-cut, change-rate (separated by commas), or "
    "all. No other process is touched.",
)
@_chaos_option(
    "--chaos-faults",
    "faults",
    type=click.IntRange(1, MOST_FAULTS),
    default=20,
    show_default=True,
    metavar="NUMBER",
    help="How many faults happen.",
)
@_chaos_option(
    "--chaos-every",
    "every_s",
    type=click.FloatRange(0.5, 3600),
    default=4.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds between two faults, on average.",
)
@_chaos_option(
    "--chaos-longest",
    "longest_s",
    type=click.FloatRange(0.1, 3600),
    default=9.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds that a fault lasts at most; visitors may be silent for 6 s.",
)
@_chaos_option(
    "--chaos-servers",
    "servers",
    type=click.IntRange(1, 3),
    default=2,
    show_default=True,
    metavar="NUMBER",
    help="How many servers share the store.",
)
@_chaos_option(
    "--chaos-store-command",
    "store_command",
    default="",
    metavar="COMMAND",
    help="Command that starts another store than the embedded one, with {folder} and {port} or {socket} in "
    "it, such as `dragonfly --port={port} --dir={folder}`.",
)
@server_options
@click.pass_context
def rehearse(context: click.Context, /, kinds: str | None, seed: int | None, **options: Any) -> None:
    """Play a whole sale against a running server and judge it.

    Visitors of all priorities join, send heartbeats, leave, fall silent, come back, get in, use their session
    and finish, over real HTTP. It is judged only by what can be seen from outside. Play it on a queue with
    the settings of the real sale, before the real sale.

    With --chaos it brings its own servers and store, kills and freezes them mid-sale, and judges the same
    promises, allowing for outages what the README allows.

    Exit code 0: no promise was broken. 1: one was, and the last lines say which. 2: it could not be played.
    130: it was interrupted.
    """
    from wr.rehearse.run import CannotRehearse, run_rehearsal

    if seed is None:
        seed = secrets.randbelow(2**32)
    _check_together(context, with_chaos=kinds is not None)
    try:
        if kinds is not None:
            if not _is_given(context, "visitors"):
                options["visitors"] = 0
            verdict = _with_chaos(kinds, seed=seed, **{name: options[name] for name in _OF_CHAOS})
        else:
            verdict = run_rehearsal(
                seed=seed, **{name: options[name] for name in options if name not in _ONLY_WITH_CHAOS}
            )
    except CannotRehearse as failure:
        raise UsageFailure(str(failure)) from failure
    if verdict.broken:
        sys.exit(BROKEN)
    if verdict.is_interrupted:
        sys.exit(INTERRUPTED)


def _with_chaos(kinds: str, **options: Any) -> "Verdict":
    from wr.rehearse.chaos.run import (
        VISITORS_PER_FAULT,
        Chaos,
        run_rehearsal,
    )

    try:
        chosen = parse_kinds(kinds)
    except ValueError as error:
        raise UsageFailure(f"--chaos: {error}") from error
    options["visitors"] = options["visitors"] or VISITORS_PER_FAULT * options["faults"]
    return run_rehearsal(Chaos(kinds=chosen, **options))


def _check_together(context: click.Context, *, with_chaos: bool) -> None:
    """Refuse options that say nothing beside the others, so that nobody takes a running server to be tried.

    Variables in the environment are for other commands, too, and are overlooked.
    """
    for parameter in context.command.params:
        if not _is_given(context, parameter.name or ""):
            continue
        option = max(parameter.opts, key=len)
        if with_chaos and parameter.name in _NOT_WITH_CHAOS:
            raise UsageFailure(f"--chaos brings its own servers, store and queue: leave out {option}")
        if not with_chaos and parameter.name in _ONLY_WITH_CHAOS:
            raise UsageFailure(f"{option} goes with --chaos only")


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE
