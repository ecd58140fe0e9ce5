"""Logs: one line for each event, as text for people or as JSON for machines.

The code passes no tokens or keys to the log. If it does so by mistake, they are replaced before the line is
written.
"""

import io
import json
import logging
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, ExcInfo, WrappedLogger

from wr.api.request_id import request_id

REDACTED = "[redacted]"
_SECRET_NAME = re.compile(
    r"(?:^|[_-])(?:token|authorization|password|passwd|secret|cookie|api[_-]?key|admin[_-]?key|private[_-]?key)$",
    re.IGNORECASE,
)
_SECRETS_IN_TEXT = (
    # The value of an Authorization header, and a JWT anywhere: its first part is a JSON object in base64.
    (re.compile(r"(?i)\b(bearer|basic)([ ,+]+|%20)[\w.~+/=-]{8,}"), rf"\1\2{REDACTED}"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]*(?:\.[\w-]*)?"), REDACTED),
    # A password in a URL: redis://user:password@host.
    (re.compile(r"(?<=://)([^\s:/@]*):[^\s/@]+@"), rf"\1:{REDACTED}@"),
    # A header, a field of a query, or a keyword: access_token=…, X-Admin-Key: …, "password": "…".
    (
        re.compile(
            r"(?i)((?:token|authorization|password|secret|admin[_-]?key|api[_-]?key)[\"']?\s*[=:]\s*(?:b(?=[\"']))?[\"']?)"
            r"(?!\[redacted\]|bearer\b|basic\b)[^\s\"'&,;)}]+"
        ),
        rf"\1{REDACTED}",
    ),
)

# Tracebacks leave out the values of local variables: they contain tokens and keys, and formatting them can
# block the event loop for seconds.
_json_tracebacks = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


_SEPARATORS = (",", ":")
"""As orjson writes them, so that all lines look alike to a filter."""


def without_secrets(text: str) -> str:
    """Return the text with everything that looks like a token, key or password replaced."""
    for pattern, instead in _SECRETS_IN_TEXT:
        text = pattern.sub(instead, text)
    return text


def log_processors(log_format: str, *, colors: bool = False) -> list[structlog.typing.Processor]:
    """List the steps that turn an event into a line of the form `text` or `json`."""
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_request_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if log_format == "json":
        return [*processors, _json_tracebacks, _redact, structlog.processors.JSONRenderer(_json_line)]
    plain = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=_plain_traceback)
    return [*processors, _redact, plain]


def set_up_logs(log_format: str, level: str = "info") -> None:
    """Write logs to standard error in the form `text` or `json`: those of `level` (debug, info, warning,
    error) and above."""
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
    # `exc_info` is not text: structlog renders the traceback from it later.
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
    # Anything else would be written as its repr, which may contain a secret.
    return without_secrets(repr(value))


def _json_line(event: EventDict, *, default: Callable[[Any], Any]) -> str:
    """Write an event as one line of ASCII: a log may be read in any encoding."""
    try:
        line = orjson.dumps(event, default=default, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # orjson refuses integers over 64 bits and text that is not valid Unicode, such as half of a surrogate
        # pair. The standard library writes both.
        return json.dumps(event, default=default, separators=_SEPARATORS)
    # orjson cannot escape what is not ASCII; the standard library, which is slower, can.
    return line.decode() if line.isascii() else json.dumps(event, default=default, separators=_SEPARATORS)


def _plain_traceback(file: TextIO, exc_info: ExcInfo) -> None:
    text = io.StringIO()
    structlog.dev.plain_traceback(text, exc_info)
    file.write(without_secrets(text.getvalue()))
