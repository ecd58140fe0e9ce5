"""A call as an operation sees it, and its answer: plain objects that know no framework."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from wr.api.cookies import PlaceCookies
from wr.api.http import NOT_KEPT, HttpRequest
from wr.api.qr_codes import QrCodes
from wr.api.waiting_desk import WaitingDesk
from wr.block_service import BlockService
from wr.concerts import Concerts
from wr.gatehouse import Gatehouse
from wr.join_rules import PositionProof
from wr.keeper import KeyKeeper
from wr.live.registry import Registry
from wr.model.audit import Actor
from wr.model.client_address import Network
from wr.model.limits import Usage
from wr.model.tokens import SessionClaims
from wr.office import Office
from wr.pass_reader import PassReader
from wr.pass_service import PassService
from wr.room import Room
from wr.store.health import Condition
from wr.web.assets import AssetShelf
from wr.webhooks import WebhookDesk


class Call(msgspec.Struct):
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


class Answer(msgspec.Struct, frozen=True):
    """What an operation gives back: a status, a message or a page, and what was used of a limit."""

    status: int
    body: msgspec.Struct
    usage: Usage | None = None
    headers: list[tuple[str, str]] = []
    """Headers of its own."""


class Services(msgspec.Struct, frozen=True):
    """What operations work with."""

    room: Room
    concerts: Concerts
    registry: Registry
    clock_ms: Callable[[], int]
    office: Office
    keeper: KeyKeeper
    gatehouse: Gatehouse
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
    webhooks: WebhookDesk
    desk: WaitingDesk
    qr_codes: QrCodes
    random: Callable[[], float]
    """From 0 up to 1, so that a crowd does not come back in step."""
    scrape: Callable[[str], Awaitable[tuple[bytes, str]]]
    """Spells all metrics for an `Accept` header; returns the text and its content type."""
    openapi: bytes = b""
    public_url: str = ""
    """The origin visitors use, without a slash at the end; empty: the one of each request."""
    assets: AssetShelf = msgspec.field(default_factory=AssetShelf)
