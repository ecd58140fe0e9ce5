"""`wr find`: finds a visitor by the id of a position or a session."""

import click
from msgspec import Struct

from wr.cli.options import (
    GroupedCommand,
    admin_command,
)
from wr.client.admin_client import AdminClient
from wr.model.ids import parse_session_id


@click.command(cls=GroupedCommand)
@click.argument("person_id", metavar="ID", help="Id of a position or of a session.")
@admin_command
def find(api: AdminClient, person_id: str) -> Struct:
    """Find a visitor by the id of a position or a session.

    Works for one hour after the place or session ended. It does not count as a heartbeat of the visitor.
    """
    if parse_session_id(person_id) is not None:
        return api.find_session(person_id)
    return api.find_position(person_id)
