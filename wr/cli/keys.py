"""`wr keys`: lists and rotates signing keys."""

from typing import TYPE_CHECKING

import click
from msgspec import Struct

from wr.cli.options import (
    OrderedGroup,
    admin_command,
)
from wr.client.admin_client import AdminClient

if TYPE_CHECKING:
    pass


@click.group(cls=OrderedGroup)
def keys() -> None:
    """See and renew the keys that a running server signs tokens with."""


@keys.command("list")
@admin_command
def list_keys(api: AdminClient) -> Struct:
    """List the signing keys, newest first; nothing secret is shown."""
    return api.keys()


@keys.command("rotate")
@admin_command
def rotate_keys(api: AdminClient) -> Struct:
    """Make new signing keys. Tokens signed with earlier ones stay valid until they expire."""
    return api.rotate_keys()
