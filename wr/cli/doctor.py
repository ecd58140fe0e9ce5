"""`wr doctor` and `wr health`: check the set-up, and ask a running server about its health."""

import functools
import itertools
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from wr.cli.options import (
    GroupedCommand,
    GroupedOption,
    UsageFailure,
    known_variables,
    setting_options,
)
from wr.server.settings import load_settings

if TYPE_CHECKING:
    from wr.doctor.finding import Finding

_from_outside = functools.partial(
    click.option, cls=GroupedOption, heading="From outside", metavar="URL", default=None
)


@click.command(cls=GroupedCommand)
@_from_outside("--origin", metavar="URL", help="Site that people wait for: look at it from outside, too.")
@_from_outside("--url", help="Address of the waiting room; unless given, where the site's gate sends people.")
@_from_outside("--queue", "queue_id", metavar="QUEUE", help="Queue to walk through, likewise.")
@_from_outside(
    "--expected-crowd",
    type=click.IntRange(1),
    metavar="NUMBER",
    help="How many people will be connected at once: say whether the limits are enough, of the server at "
    "--url or else of this machine.",
)
@setting_options
def doctor(
    origin: str | None, url: str | None, queue_id: str | None, expected_crowd: int | None, **flags: str | None
) -> None:
    """Check the set-up and say what to mend. Takes what `wr serve` takes; changes nothing.

    With --origin it also visits the deployed site: is the gate in the way, is a visitor who joins let in,
    does the session token verify and open the gate, whose address is believed, are the clocks right. What the
    server there may do it says only to those who may read its metrics, at --url.

    Each line is one check: ✓ is good, ! deserves a look, ✗ has to be mended (exit code 1).
    """
    import secrets
    import time

    from wr.doctor.deployment import Deployment, examine_deployment
    from wr.doctor.examination import examine

    is_elsewhere = origin is not None and url is not None
    local_crowd = 0 if is_elsewhere else expected_crowd or 0
    findings: Iterator[Finding | str] = examine(
        flags, os.environ, known_variables(click.get_current_context().find_root().command), local_crowd
    )
    if origin is not None:
        try:
            deployment = Deployment.at(
                origin,
                url or "",
                queue_id or "",
                metrics_token=flags.get("metrics_token") or os.environ.get("WR_METRICS_TOKEN", ""),
                expected_crowd=expected_crowd or 0,
            )
        except ValueError as error:
            raise UsageFailure(str(error)) from error
        name = f"wr-doctor-{secrets.token_hex(8)}"
        findings = itertools.chain(
            ["This machine, as `wr serve` would find it:"],
            findings,
            ["The deployment, from outside:"],
            examine_deployment(deployment, name, now_s=time.time, sleep=time.sleep),
        )
    is_well = True
    for finding in findings:
        click.echo(str(finding))
        is_well = is_well and (isinstance(finding, str) or not finding.is_bad)
    sys.exit(0 if is_well else 1)


@click.command(cls=GroupedCommand)
@click.option(
    "--url",
    metavar="URL",
    help="Address of the server; unless given, the one that `wr serve` would have with this --bind.",
)
@click.option(
    "--bind", envvar="WR_BIND", show_envvar=True, metavar="ADDRESS:PORT", help="What the server listens on."
)
def health(url: str | None, bind: str | None) -> None:
    """Ask a running server whether it can do its work.

    Exit code 0 if it can, 1 if not: for whoever watches over it, as containers are watched over.
    """
    from wr.doctor.health import check_health, own_url

    try:
        finding = (
            check_health(own_url(load_settings({"bind": bind})), is_own=True)
            if url is None
            else check_health(url)
        )
    except ValueError as error:
        raise UsageFailure(str(error)) from error
    click.echo(str(finding))
    sys.exit(1 if finding.is_bad else 0)
