"""`wr pass`, `wr block` and `wr session`: letting visitors in with passes, and keeping visitors out."""

import re
import sys
import time
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from wr.admin_client import AdminClient
from wr.command_options import (
    CommandFailure,
    OrderedGroup,
    UsageFailure,
    admin_command,
    confirm,
    yes_option,
)
from wr.pass_lists import FORMATS, PassWish, issue_all, written

_MOST_PASSES = 1_000_000
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d{1,9})([smhd])")


class Duration(click.ParamType[int]):
    """A number with its unit, such as 90s, 30m, 2h or 7d; read as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it; fails with what a duration looks like."""
        if isinstance(value, int):
            return value
        match = _DURATION.fullmatch(str(value).strip())
        seconds = int(match[1]) * _UNITS[match[2]] if match else 0
        if seconds < 1:
            self.fail(f"'{value}' is no duration: write 90s, 30m, 2h or 7d", param, ctx)
        return seconds


_queue = click.option("--queue", "queue_id", metavar="QUEUE", required=True, help="Id of the queue.")
_reason = click.option("--reason", metavar="TEXT", help="Why; kept in the audit trail.")
_block_for = click.option(
    "--block-for",
    type=Duration(),
    metavar="DURATION",
    help="Also keep the visitor from joining the queue again for so long, such as 1h.",
)
_scope = click.option(
    "--block", type=click.Choice(["person", "address", "both"]), help="What --block-for keeps out."
)


@click.group("pass", cls=OrderedGroup)
def pass_group() -> None:
    """Issue passes for a queue, and take them back."""


@pass_group.command("issue")
@_queue
@click.option(
    "--priority",
    type=click.IntRange(0, 3),
    metavar="NUMBER",
    default=0,
    show_default=True,
    help="Priority of the places that the passes give, 0 to 3.",
)
@click.option(
    "--for",
    "subject",
    metavar="NAME",
    default="",
    help="Name of the visitor, who holds one place. Of several each gets a number behind it; without a name "
    "each gets one of its own.",
)
@click.option(
    "--expires",
    type=Duration(),
    metavar="DURATION",
    default="1d",
    show_default=True,
    help="How long the passes are valid, such as 90s, 30m, 2h or 7d.",
)
@click.option(
    "--count",
    type=click.IntRange(1, _MOST_PASSES),
    metavar="NUMBER",
    default=1,
    show_default=True,
    help="How many passes to issue.",
)
@click.option(
    "--uses",
    type=click.IntRange(0, 1_000_000),
    metavar="NUMBER",
    default=1,
    show_default=True,
    help="How many places each pass gives, one after the other; 0 means any number.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="What is written: links, one a line; csv, with a header; json. A terminal gets a table otherwise.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to this new file, which only you can read.",
)
@admin_command
def issue_passes(
    api: AdminClient,
    queue_id: str,
    subject: str,
    expires: int,
    count: int,
    form: str = "",
    output: Path | None = None,
    **wish: Any,
) -> None:
    """Issue passes: each gives its visitor a place.

    A pass is a secret: it gives a place to any visitor that brings it, and it is shown only now. A visitor
    brings it by opening its link, or a site sends it as X-WR-Pass.
    """
    wanted = PassWish(queue_id=queue_id, subject=subject, expires_in_s=expires, count=count, rest=wish)
    as_json = click.get_current_context().params["as_json"]
    try:
        with written("json" if as_json else form, output) as take:
            issue_all(api, wanted, take, tell=_tell, sleep=time.sleep, clock=time.monotonic)
    except OSError as error:
        raise CommandFailure(f"the passes cannot be written: {error.strerror}") from error


@pass_group.command("revoke")
@click.argument("given", metavar="PASS", help="The pass, or its id; - reads it from standard input.")
@click.option(
    "--queue", "queue_id", metavar="QUEUE", default="", help="Id of the queue; a whole pass names its own."
)
@_reason
@_block_for
@_scope
@admin_command
def revoke_pass(api: AdminClient, given: str, queue_id: str, **wish: Any) -> Struct:
    """Take a pass back, and end the place that it gave.

    Other users of this machine can see command lines: give a whole pass on standard input (-), or its id.
    """
    from wr.model.passes import BadPass, unverified_queue  # noqa: PLC0415 - takes long to load, help needs none

    _check_block(wish)
    named = sys.stdin.read().strip() if given == "-" else given
    if not named:
        raise UsageFailure("there is no pass on standard input")
    try:
        own_queue = unverified_queue(named)
    except BadPass as error:
        if not queue_id:
            raise UsageFailure("give --queue: only a whole pass names its queue") from error
        return api.revoke_pass(queue_id, {"pass_id": named, **wish})
    return api.revoke_pass(queue_id or own_queue, {"pass": named, **wish})


@click.group(cls=OrderedGroup)
def block() -> None:
    """Keep visitors and addresses out of a queue for a while."""


@block.command("list")
@_queue
@admin_command
def list_blocks(api: AdminClient, queue_id: str) -> Struct:
    """List what may not join a queue, and until when."""
    return api.blocks(queue_id)


@block.command("add")
@_queue
@click.option("--address", metavar="ADDRESS", help="An IPv4 or IPv6 address; of IPv6 its /64 is blocked.")
@click.option("--user-id", metavar="TEXT", help="The subject of passes, or the user id in calls by the site.")
@click.option(
    "--for", "block_for", type=Duration(), metavar="DURATION", required=True, help="How long, such as 2h."
)
@_reason
@admin_command
def add_block(api: AdminClient, queue_id: str, **wish: Any) -> Struct:
    """Keep an address, a user id or both from joining.

    A block ends no place and no session: end a session with `wr session end`.
    """
    if "address" not in wish and "user_id" not in wish:
        raise UsageFailure("give --address, --user-id or both")
    return api.add_block(queue_id, wish)


@block.command("end")
@click.argument("block_id", metavar="BLOCK", help="Id of the block, as `wr block list` shows it.")
@_queue
@admin_command
def end_block(api: AdminClient, block_id: str, queue_id: str) -> Struct:
    """End a block: what it kept out may join again."""
    return api.end_block(queue_id, block_id)


@click.group(cls=OrderedGroup)
def session() -> None:
    """End sessions of visitors that were let in."""


@session.command("end")
@click.argument("session_id", metavar="SESSION", help="Id of the session.")
@_reason
@_block_for
@_scope
@yes_option
@admin_command
def end_session(api: AdminClient, session_id: str, yes: bool, **wish: Any) -> Struct:
    """End a session; its visitor has to join again.

    The visitor can join again at once unless --block-for says otherwise. Find the id with `wr find`.
    """
    _check_block(wish)
    if not yes:
        confirm(f"End the session {session_id} in {api.find_session(session_id).queue_id}?")
    return api.end_session(session_id, wish)


def _check_block(wish: dict[str, Any]) -> None:
    if "block" in wish and "block_for" not in wish:
        raise UsageFailure("--block needs --block-for, which says for how long")


def _tell(line: str) -> None:
    click.echo(line, err=True)
