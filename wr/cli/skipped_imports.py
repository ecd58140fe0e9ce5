"""Keeps installed libraries that a server does not need from being imported, to save memory."""

import sys
from importlib import import_module


def load_logs_without_drawings() -> None:
    """Import structlog without rich. structlog would import it for tracebacks, which are plain here: 3 MiB.

    Call this before any other import of structlog. Other modules can import rich afterwards.
    """
    if "structlog" in sys.modules or "rich" in sys.modules:
        return
    # The import system treats None in sys.modules as «this module does not exist».
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        import_module("structlog")
    finally:
        del sys.modules["rich"]
