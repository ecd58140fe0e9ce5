"""What operations work with: the use cases of the room, and a few facts about this server."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from wr.api.pages.page_cache import WaitingPageCache
from wr.api.pages.qr_codes import QrCodes
from wr.api.place_cookies import PlaceCookies
from wr.api.visitors.queue_facts_cache import QueueFactsCache
from wr.live.registry import Registry
from wr.model.client_address import Network
from wr.room.blocks import BlockService
from wr.room.gate_sessions import GateSessionService
from wr.room.operators import OperatorService
from wr.room.pass_reader import PassReader
from wr.room.passes import PassService
from wr.room.signing_keys import SigningKeys
from wr.room.user_queue import UserQueueService
from wr.room.visitors import VisitorService
from wr.room.webhooks import WebhookService
from wr.store.health import Condition
from wr.web.assets import AssetStore


class Health(msgspec.Struct, frozen=True):
    """How the server and what it depends on are doing."""

    store: Condition
    nats: str
    """`healthy`, `unhealthy` or `disabled`."""
    recovering_queues: int
    """How many queues get places back that the store has lost."""
    uptime_s: float


class HealthSource(Protocol):
    """Finds out how the server is doing."""

    async def check(self) -> Health:
        """Ask the store, for a second at most, and note the rest."""
        ...


class MetricsSource(Protocol):
    """Gives the metrics of the process."""

    async def exposition(self, accept: str, /) -> tuple[bytes, str]:
        """Spell all metrics for an `Accept` header; returns the text and its content type."""
        ...


class Services(msgspec.Struct, frozen=True):
    """What operations work with."""

    visitors: VisitorService
    user_queue: UserQueueService
    registry: Registry
    clock_ms: Callable[[], int]
    operators: OperatorService
    signing_keys: SigningKeys
    gate_sessions: GateSessionService
    passes: PassReader
    issued_passes: PassService
    blocks: BlockService
    cookies: PlaceCookies
    trusted_proxies: tuple[Network, ...]
    health: HealthSource
    metrics: MetricsSource
    webhooks: WebhookService
    page_cache: WaitingPageCache
    qr_codes: QrCodes
    queue_facts: QueueFactsCache
    random: Callable[[], float]
    """From 0 up to 1, so that a crowd does not come back in step."""
    openapi: bytes = b""
    public_url: str = ""
    """The origin visitors use, without a slash at the end; empty: the one of each request."""
    assets: AssetStore = msgspec.field(default_factory=AssetStore)
