"""A call as an operation sees it, and its answer: plain objects that know no framework."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from wr.api.http_messages import NOT_KEPT, HttpRequest
from wr.api.pages.page_cache import WaitingPageCache
from wr.api.pages.qr_codes import QrCodes
from wr.api.place_cookies import PlaceCookies
from wr.live.registry import Registry
from wr.model.audit import Actor
from wr.model.client_address import Network
from wr.model.limits import Usage
from wr.model.tokens import PositionProof, SessionClaims
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


class RequestContext(msgspec.Struct):
    """What an operation is given: parameters checked, body read, caller authenticated."""

    parameters: dict[str, str]
    address: str
    user_agent: str
    request: HttpRequest
    """As it was sent; only pages and cookies look at it again."""
    route: Any = None
    """The route of the table, once it is found."""
    is_admin: bool = False
    operator: str = ""
    """Who an operator claims to be."""
    usage: Usage | None = None
    query: Any = None
    body: Any = None
    position: PositionProof | None = None
    session: SessionClaims | None = None
    keeps_token_in_cookie: bool = False
    keeps_token: bool = False
    """Whether the client says that it keeps the token of its place, in a cookie or itself."""
    is_site: bool = False
    """Whether the site itself calls for a visitor, with the origin key or the admin key."""
    has_user_token: bool = False
    """Whether the caller brings a token of the site's user."""

    @property
    def actor(self) -> Actor:
        """Who is to be named for what the call changes."""
        return Actor(self.operator, self.address)


class Page(msgspec.Struct, frozen=True):
    """A body that is ready to be sent as it is: a page, an asset, a document."""

    content: bytes
    content_type: str
    caching: str = NOT_KEPT


class Empty(msgspec.Struct, frozen=True):
    """What the description of the API has in place of a body where there is none."""


class Answer(msgspec.Struct, frozen=True):
    """What an operation gives back: a status, a message or a page, and what was used of a limit."""

    status: int
    body: msgspec.Struct
    usage: Usage | None = None
    headers: list[tuple[str, str]] = []
    """Headers of its own."""


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
    store_condition: Callable[[], Awaitable[Condition]]
    uptime_s: Callable[[], float]
    nats_health: Callable[[], str]
    """`healthy`, `unhealthy` or `disabled`."""
    recovering_queues: Callable[[], int]
    """How many queues get places back that the store has lost."""
    webhooks: WebhookService
    page_cache: WaitingPageCache
    qr_codes: QrCodes
    random: Callable[[], float]
    """From 0 up to 1, so that a crowd does not come back in step."""
    scrape: Callable[[str], Awaitable[tuple[bytes, str]]]
    """Spells all metrics for an `Accept` header; returns the text and its content type."""
    openapi: bytes = b""
    public_url: str = ""
    """The origin visitors use, without a slash at the end; empty: the one of each request."""
    assets: AssetStore = msgspec.field(default_factory=AssetStore)
