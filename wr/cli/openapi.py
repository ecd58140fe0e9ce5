"""`wr openapi`: prints the description of the API."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from wr.cli.options import (
    CommandFailure,
    GroupedCommand,
)

if TYPE_CHECKING:
    pass


@click.command(cls=GroupedCommand)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write it here, not to the terminal.",
)
def openapi(output: Path | None) -> None:
    """Print the description of the API: OpenAPI 3.0.3, as JSON."""
    import json

    from wr.api.openapi import openapi_document

    text = json.dumps(openapi_document(), indent=2, ensure_ascii=False)
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise CommandFailure(f"{output} cannot be written: {error.strerror}") from error
