"""Tests operators' templates in a separate process with limits, because a template can take endless time."""

import resource
import sys

import msgspec

from wr.model.queue_settings import QueueConfig
from wr.model.refusals import InvalidRequest
from wr.web.assets import own_assets

TEMPLATE_CHECK = "check-template"
"""Name of the hidden command that runs the test."""
_MOST_PROCESSOR_S = 3
_MOST_BYTES = 1024 * 1024 * 1024


def template_check_command() -> list[str]:
    """Return the command line of the test: this program, also if it is a single executable file."""
    program = [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "wr"]
    return [*program, TEMPLATE_CHECK]


def check_from_standard_input() -> int:
    """Test the template of a queue, whose settings come as JSON on standard input.

    Returns the exit code: 0 if the template is correct, 1 if it has an error, which is on standard output.
    Any other exit code, for example after a signal, means that it took too much time or memory.
    """
    from wr.web.waiting_pages import WaitingPages  # noqa: PLC0415 - loaded here: before the limits are set

    config = msgspec.json.decode(sys.stdin.buffer.read(), type=QueueConfig)
    pages = WaitingPages(own_assets())
    resource.setrlimit(resource.RLIMIT_CPU, (_MOST_PROCESSOR_S, _MOST_PROCESSOR_S))
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    try:
        pages.check_template(config)
    except InvalidRequest as error:
        sys.stdout.write(error.message)
        return 1
    except MemoryError:
        return 2
    return 0
