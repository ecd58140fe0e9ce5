"""Messages about the service itself: its health and its verification keys (contract: Health, JWKS)."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType


class HealthResponse(msgspec.Struct, kw_only=True):
    """Whether the service can do its work just now."""

    status: Literal["healthy", "unhealthy"]
    version: str
    uptime_seconds: int
    components: dict[str, str]
    recovering_queues: (
        Annotated[int, Meta(ge=1, description="Queues whose places come back after the store has lost them")]
        | UnsetType
    ) = UNSET


class JwksResponse(msgspec.Struct, kw_only=True):
    """What verifies session tokens (RFC 7517)."""

    keys: list[dict[str, str]]
