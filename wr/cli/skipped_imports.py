"""What the process keeps from being loaded though it is installed: every server would pay for it."""

import sys
from importlib import import_module


def load_logs_without_drawings() -> None:
    """Load structlog without rich, with which it would draw tracebacks: ours are plain, and that is 3 MiB.

    To be called before anything else loads structlog; whoever needs rich can load it afterwards.
    """
    if "structlog" in sys.modules or "rich" in sys.modules:
        return
    # As the import system has it: a name that stands for nothing is not looked for.
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        import_module("structlog")
    finally:
        del sys.modules["rich"]
