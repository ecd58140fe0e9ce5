"""Response bodies about signing keys."""

from typing import Annotated

import msgspec
from msgspec import Meta

from wr.api.field_types import Time


class KeyResponse(msgspec.Struct, kw_only=True):
    """A signing key, without its secret part."""

    kid: str
    purpose: str
    algorithm: str
    created_at: Time
    active_at: Annotated[Time, Meta(description="When it begins to sign new tokens")]


class KeyListResponse(msgspec.Struct, kw_only=True):
    """Signing keys, newest first."""

    keys: list[KeyResponse]
