"""Log output: text for people or JSON for programs, one line per event, without tokens, keys and passwords.

Callers do not log secrets. This module removes them in case one slips in, such as within an error message.
"""

import io
import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, WrappedLogger

from wr.api.request_id import request_id

REDACTED = "[redacted]"
_SECRET_NAME = re.compile(
    r"(?:^|[_-])(?:token|authorization|password|passwd|secret|cookie|api[_-]?key|admin[_-]?key|private[_-]?key)$",
    re.IGNORECASE,
)
_SECRETS_IN_TEXT = (
    # The value of an Authorization header, and a JWT anywhere: its base64 begins with that of `{"`.
    (re.compile(r"(?i)\b(bearer|basic)([ ,+]+|%20)[\w.~+/=-]{8,}"), rf"\1\2{REDACTED}"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]*(?:\.[\w-]*)?"), REDACTED),
    # A password in a URL: redis://user:password@host.
    (re.compile(r"(?<=://)([^\s:/@]*):[^\s/@]+@"), rf"\1:{REDACTED}@"),
    # A header, a query parameter or a keyword: access_token=…, X-Admin-Key: …, "password": "…".
    (
        re.compile(
            r"(?i)((?:token|authorization|password|secret|admin[_-]?key|api[_-]?key)[\"']?\s*[=:]\s*(?:b(?=[\"']))?[\"']?)"
            r"(?!\[redacted\]|bearer\b|basic\b)[^\s\"'&,;)}]+"
        ),
        rf"\1{REDACTED}",
    ),
)

# Tracebacks without the values of local variables: these may be tokens and keys, and formatting them all
# would block the server for seconds.
_json_tracebacks = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def without_secrets(text: str) -> str:
    """Replace everything in the text that looks like a token, key or password."""
    for pattern, instead in _SECRETS_IN_TEXT:
        text = pattern.sub(instead, text)
    return text


def log_processors(log_format: str, *, colors: bool = False) -> list[structlog.typing.Processor]:
    """Return the structlog processors that turn an event into a line of the form `text` or `json`."""
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_request_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if log_format == "json":
        return [*processors, _json_tracebacks, _redact, structlog.processors.JSONRenderer()]
    plain = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=_plain_traceback)
    return [*processors, _redact, plain]


def set_up_logs(log_format: str, level: str = "info") -> None:
    """Log to standard error, in the form `text` or `json`, from `level` up (debug, info, warning, error)."""
    structlog.configure(
        processors=log_processors(log_format, colors=sys.stderr.isatty()),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _add_request_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    current = request_id.get(None)
    if current is not None:
        event.setdefault("request_id", current)
    return event


def _redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # structlog reads exc_info itself, to render the traceback: it is not text.
    return {
        name: value if name == "exc_info" else _redacted(str(name), value) for name, value in event.items()
    }


def _redacted(name: str, value: Any) -> Any:
    if _SECRET_NAME.search(name) is not None:
        return REDACTED
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, Mapping):
        return {key: _redacted(str(key), each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted("", each) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    # Any other object would be written as its repr, which may contain a secret.
    return without_secrets(repr(value))


def _plain_traceback(file: TextIO, exc_info: ExcInfo) -> None:
    text = io.StringIO()
    structlog.dev.plain_traceback(text, exc_info)
    file.write(without_secrets(text.getvalue()))
