"""Logs: text for people, JSON for machines, one line an event; tokens and keys are never given to them."""

import logging
import sys

import structlog

# A traceback without the values of variables: among them are the tokens and keys of whoever met the error,
# and to format them all holds up everybody else for seconds.
_json_tracebacks = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def log_processors(log_format: str, *, colors: bool = False) -> list[structlog.typing.Processor]:
    """Put together what turns an event into a line of the form `text` or `json`."""
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if log_format == "json":
        return [*processors, _json_tracebacks, structlog.processors.JSONRenderer()]
    plain = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
    return [*processors, plain]


def set_up_logs(log_format: str) -> None:
    """Send logs to standard error in the form `text` or `json`."""
    structlog.configure(
        processors=log_processors(log_format, colors=sys.stderr.isatty()),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
