"""`wr doctor` checks the set-up of a machine and a site; `wr health` checks a running server."""

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
@_from_outside("--origin", metavar="URL", help="Site that visitors wait for. Also checks it from outside.")
@_from_outside("--url", help="Address of the waiting room. Default: where the site's gate sends visitors.")
@_from_outside(
    "--queue",
    "queue_id",
    metavar="QUEUE",
    help="Queue that a test visitor joins. Default: the one to which the site's gate sends visitors.",
)
@_from_outside(
    "--expected-crowd",
    type=click.IntRange(1),
    metavar="NUMBER",
    help="Number of visitors that you expect to be connected at the same time. Checks whether the limits of "
    "the server at --url are high enough, or those of this machine if there is no --url.",
)
@setting_options
def doctor(
    origin: str | None, url: str | None, queue_id: str | None, expected_crowd: int | None, **flags: str | None
) -> None:
    """Check the set-up and say what to fix. Takes the options of `wr serve`; changes nothing.

    With --origin it also visits the deployed site: the gate must stop a visitor without a session, a visitor
    who joins must get in, the session token must verify and open the gate, the server must see the right
    client address, and the clocks must agree. It checks the server's limits only at --url, and only if this
    machine may read the server's metrics.

    Each line is one check: ✓ is good, ! is a warning, ✗ is an error to fix (exit code 1).
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
            ["This machine, with the settings that `wr serve` would use:"],
            findings,
            ["The deployment, seen from outside:"],
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
    help="Address of the server. Default: the address that `wr serve` has with this --bind.",
)
@click.option(
    "--bind",
    envvar="WR_BIND",
    show_envvar=True,
    metavar="ADDRESS:PORT",
    help="Address on which the server listens.",
)
def health(url: str | None, bind: str | None) -> None:
    """Ask a running server whether it works.

    Exit code 0: it works. 1: it does not. Meant for monitoring, such as the health check of a container.
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
