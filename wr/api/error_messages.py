"""The body of every error (contract: Error Responses)."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType


class ErrorFacts(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The code and message of an error, with details if there are any."""

    code: str
    message: str
    # `Any` is the one type by which msgspec describes JSON of every kind in a schema.
    details: dict[str, Any] | UnsetType = UNSET


class ErrorResponse(msgspec.Struct, kw_only=True):
    """The body of every error."""

    error: ErrorFacts
    request_id: str
