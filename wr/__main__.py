"""What `wr` and `python -m wr` begin with."""

import os

from wr.cli.skipped_imports import load_logs_without_drawings
from wr.tracing.setup import load_nothing_unasked


def main() -> None:
    """Run the command line, after seeing to it that it loads no more than it needs."""
    load_nothing_unasked(os.environ)
    load_logs_without_drawings()
    from wr.cli.main import main as commands

    commands()


if __name__ == "__main__":
    main()
