"""`wr session`: ends sessions."""

from typing import Any

import click
from msgspec import Struct

from wr.cli.access_options import block_for_option, block_scope_option, check_block_options, reason_option
from wr.cli.options import (
    OrderedGroup,
    admin_command,
    confirm,
    yes_option,
)
from wr.client.admin_client import AdminClient


@click.group(cls=OrderedGroup)
def session() -> None:
    """End sessions of admitted visitors."""


@session.command("end")
@click.argument("session_id", metavar="SESSION", help="Id of the session.")
@reason_option
@block_for_option
@block_scope_option
@yes_option
@admin_command
def end_session(api: AdminClient, session_id: str, yes: bool, **wish: Any) -> Struct:
    """End a session, so that its visitor has to join again.

    The visitor can join again at once, unless you give --block-for. Look the visitor up first with `wr find`.
    """
    check_block_options(wish)
    if not yes:
        confirm(f"End the session {session_id} in {api.find_session(session_id).queue_id}?")
    return api.end_session(session_id, wish)
