"""`wr rehearse`: the command line of rehearsals. Imports the rehearsal itself only when it runs."""

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
"""Exit codes. The others are 0 (no promise was broken) and 2 (the rehearsal cannot run)."""


_NOT_WITH_CHAOS = ("queue_id", "join_rate", "is_live", "url", "admin_key", "data_dir")
_ONLY_WITH_CHAOS = ("faults", "every_s", "longest_s", "servers", "store_command")
_OF_CHAOS = (*_ONLY_WITH_CHAOS, "visitors")
_chaos_option = functools.partial(click.option, cls=GroupedOption, heading="Faults")


@click.command("rehearse", cls=GroupedCommand)
@click.option(
    "--queue",
    "queue_id",
    cls=GroupedOption,
    heading="Visitors",
    default="demo",
    show_default=True,
    metavar="QUEUE",
    help="Id of the queue that the visitors join.",
)
@click.option(
    "--visitors",
    cls=GroupedOption,
    heading="Visitors",
    type=click.IntRange(1, MOST_VISITORS),
    default=5000,
    show_default=True,
    metavar="NUMBER",
    help="Number of visitors.",
)
@click.option(
    "--join-rate",
    cls=GroupedOption,
    heading="Visitors",
    type=click.FloatRange(0, 100_000, min_open=True),
    default=500.0,
    show_default=True,
    metavar="NUMBER",
    help="Visitors that join per second, on average.",
)
@click.option(
    "--seed",
    cls=GroupedOption,
    heading="Visitors",
    type=int,
    metavar="NUMBER",
    help="Repeat an earlier run: the seed that it printed. Default: random.",
)
@click.option(
    "--live",
    "is_live",
    cls=GroupedOption,
    heading="Visitors",
    is_flag=True,
    help="Visitors wait on WebSockets, as the waiting page does, instead of polling.",
)
@_chaos_option(
    "--chaos",
    "kinds",
    metavar="FAULTS",
    help="Start separate servers and a store on this machine, in a temporary folder, and inject these "
    "faults: kill-server, freeze-server, stop-server, kill-store, freeze-store, forget-store, rewind-store, "
    "power-cut, change-rate (separated by commas), or all. Never affects any other process.",
)
@_chaos_option(
    "--chaos-faults",
    "faults",
    type=click.IntRange(1, MOST_FAULTS),
    default=20,
    show_default=True,
    metavar="NUMBER",
    help="Number of faults.",
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
    help="Longest duration of a fault, in seconds. The heartbeat timeout is 6 s.",
)
@_chaos_option(
    "--chaos-servers",
    "servers",
    type=click.IntRange(1, 3),
    default=2,
    show_default=True,
    metavar="NUMBER",
    help="Number of servers that share the store.",
)
@_chaos_option(
    "--chaos-store-command",
    "store_command",
    default="",
    metavar="COMMAND",
    help="Command that starts the store, with {folder} and {port} or {socket} in it, such as "
    "`dragonfly --port={port} --dir={folder}`. Default: the embedded store.",
)
@server_options
@click.pass_context
def rehearse(context: click.Context, /, kinds: str | None, seed: int | None, **options: Any) -> None:
    """Test a running server with simulated visitors.

    Visitors of all priorities join, send heartbeats, leave, fall silent, return, get in, use their session
    and finish, over real HTTP. The command then checks the promises of the waiting room, using only what
    visitors can observe. Run it before a sale, on a queue with the settings of the sale.

    With --chaos it starts its own servers and store, kills and freezes them during the run, and checks the
    same promises, with the exceptions for outages that the README lists.

    Exit code 0: no promise was broken. 1: a promise was broken; the last lines say which. 2: the rehearsal
    cannot run. 130: it was interrupted.
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
    """Refuse options that have no effect together, so that an operator does not think that --chaos tests
    --url.

    Ignores variables in the environment, because they may be meant for other commands.
    """
    for parameter in context.command.params:
        if not _is_given(context, parameter.name or ""):
            continue
        option = max(parameter.opts, key=len)
        if with_chaos and parameter.name in _NOT_WITH_CHAOS:
            raise UsageFailure(f"--chaos starts its own servers, store and queue: leave out {option}")
        if not with_chaos and parameter.name in _ONLY_WITH_CHAOS:
            raise UsageFailure(f"{option} needs --chaos")


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE
