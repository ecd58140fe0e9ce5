"""`wr keys`: lists and rotates signing keys."""

import click
from msgspec import Struct

from wr.cli.options import (
    OrderedGroup,
    admin_command,
)
from wr.client.admin_client import AdminClient


@click.group(cls=OrderedGroup)
def keys() -> None:
    """List and renew the keys with which a running server signs tokens."""


@keys.command("list")
@admin_command
def list_keys(api: AdminClient) -> Struct:
    """List the signing keys, newest first, without their secret parts."""
    return api.keys()


@keys.command("rotate")
@admin_command
def rotate_keys(api: AdminClient) -> Struct:
    """Create new signing keys. Tokens signed with older keys stay valid until they expire."""
    return api.rotate_keys()
