"""`wr openapi`: prints the OpenAPI description of the API."""

from pathlib import Path

import click

from wr.cli.options import (
    CommandFailure,
    GroupedCommand,
)


@click.command(cls=GroupedCommand)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to this file instead of standard output.",
)
def openapi(output: Path | None) -> None:
    """Print the description of the API as JSON (OpenAPI 3.0.3)."""
    import json

    from wr.api.openapi import openapi_document

    text = json.dumps(openapi_document(), indent=2, ensure_ascii=False)
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise CommandFailure(f"cannot write {output}: {error.strerror}") from error
