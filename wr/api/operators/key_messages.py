"""Messages about signing keys."""

from typing import Annotated

import msgspec
from msgspec import Meta

from wr.api.field_types import Time


class KeyResponse(msgspec.Struct, kw_only=True):
    """A signing key; what is secret of it is never shown."""

    kid: str
    purpose: str
    algorithm: str
    created_at: Time
    active_at: Annotated[Time, Meta(description="From when on it signs new tokens")]


class KeyListResponse(msgspec.Struct, kw_only=True):
    """Signing keys, newest first."""

    keys: list[KeyResponse]
