"""Response bodies about the service itself: health and verification keys (contract: Health, JWKS)."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType


class HealthResponse(msgspec.Struct, kw_only=True):
    """Whether the service works, and the health of its components."""

    status: Literal["healthy", "unhealthy"]
    version: str
    uptime_seconds: int
    components: dict[str, str]
    recovering_queues: (
        Annotated[
            int, Meta(ge=1, description="Queues whose places are being restored after the store lost data")
        ]
        | UnsetType
    ) = UNSET


class JwksResponse(msgspec.Struct, kw_only=True):
    """The public keys that verify session tokens (RFC 7517)."""

    keys: list[dict[str, str]]
