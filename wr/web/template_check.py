"""Tries operators' templates in a process of its own, which may take seconds and a gigabyte."""

import resource
import sys

import msgspec

from wr.model.queue import QueueConfig
from wr.model.refusals import InvalidRequest
from wr.web.assets import own_assets

TEMPLATE_CHECK = "check-template"
"""The hidden command that does it."""
_MOST_PROCESSOR_S = 3
_MOST_BYTES = 1024 * 1024 * 1024


def template_check_command() -> list[str]:
    """Name the command: this very program, also where it is one file without an interpreter beside it."""
    program = [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "wr"]
    return [*program, TEMPLATE_CHECK]


def check_from_standard_input() -> int:
    """Try the template of the queue whose settings come as JSON.

    Returns the exit code: 0 when it is sound, 1 when what is wrong stands on standard output; anything else,
    as by a signal, means that it took too much.
    """
    from wr.web.waiting_pages import WaitingPages  # noqa: PLC0415 - before the limits, which loading would count to

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
