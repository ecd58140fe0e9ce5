"""The command `wr`: collects the commands of all subjects."""

import sys

import click

from wr import __version__
from wr.cli.audit import audit
from wr.cli.blocks import block
from wr.cli.doctor import doctor, health
from wr.cli.keys import keys
from wr.cli.openapi import openapi
from wr.cli.options import OrderedGroup
from wr.cli.passes import pass_group
from wr.cli.people import find
from wr.cli.queues import queue
from wr.cli.rehearse import rehearse
from wr.cli.serve import serve
from wr.cli.sessions import session
from wr.cli.webhooks import webhook
from wr.web.template_check import TEMPLATE_CHECK, check_from_standard_input


@click.group(
    cls=OrderedGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="wr")
def main() -> None:
    """A virtual waiting room: visitors wait and get into a site at a rate that the site can handle."""


@main.command(TEMPLATE_CHECK, hidden=True)
def check_template() -> None:
    """Check a queue's template: settings as JSON on standard input, errors on standard output."""
    sys.exit(check_from_standard_input())


for _command in (
    *(serve, queue, keys, audit, find, session, pass_group, block, webhook),
    *(rehearse, doctor, health, openapi),
):
    main.add_command(_command)
