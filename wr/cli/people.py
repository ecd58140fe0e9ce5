"""`wr find`: finds a visitor by the id of a position or a session."""

from typing import TYPE_CHECKING

import click
from msgspec import Struct

from wr.cli.options import (
    GroupedCommand,
    admin_command,
)
from wr.client.admin_client import AdminClient
from wr.model.ids import parse_session_id

if TYPE_CHECKING:
    pass


@click.command(cls=GroupedCommand)
@click.argument("person_id", metavar="ID", help="Id of a position or of a session.")
@admin_command
def find(api: AdminClient, person_id: str) -> Struct:
    """Find somebody by the id of the position or of the session.

    Those whose place or session ended are found for an hour. To look is no sign of the visitor's life.
    """
    if parse_session_id(person_id) is not None:
        return api.find_session(person_id)
    return api.find_position(person_id)
