"""The assembly: what is made of what, for one store and one set of settings."""

import os
import platform
import random
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
import trio

from wr import __version__
from wr.api.calls import Services
from wr.api.cookies import PlaceCookies
from wr.api.cross_origin import CrossOriginApi
from wr.api.dispatch import Api, Tracing
from wr.api.openapi import openapi_document
from wr.api.qr_codes import QrCodes
from wr.api.reception import Reception, Secrets
from wr.api.scrapers import Scrapers
from wr.api.user_tokens import UserTokens
from wr.api.waiting_desk import WaitingDesk
from wr.block_service import BlockService
from wr.concerts import Concerts
from wr.events.book import EventBook, Outbox
from wr.events.courier import Plan
from wr.events.hooks import Hooks
from wr.events.post import Poster
from wr.gatehouse import Gatehouse
from wr.guesses import GuessLimiter
from wr.keeper import KeyKeeper
from wr.live.announcer import Announcer
from wr.live.registry import Registry
from wr.measures.catalogue import Metric
from wr.measures.event_measures import EventMeasures
from wr.measures.measures import Measures, QueueReading, Readings, Samples, snapshot
from wr.model.address_shares import AddressShares
from wr.model.randomness import RandomPool
from wr.model.signing import Purpose
from wr.office import Office
from wr.pass_reader import PassReader, SiteKeys
from wr.pass_service import PassService
from wr.queue_book import QueueBook
from wr.recovery.kept import store_mark
from wr.recovery.memory import Memory
from wr.recovery.recovery import Recovery
from wr.room import Room
from wr.settings import Settings
from wr.store.admissions import least_gap_ms
from wr.store.health import StoreHealth
from wr.store.memory import StoreMemory
from wr.store.store import Store, store_clock
from wr.tasks.admission import Witness
from wr.tasks.live import LiveLoops
from wr.web.assets import own_assets
from wr.web.template_check import template_check_command
from wr.webhooks import WebhookDesk

if TYPE_CHECKING:
    from wr.events.nats_link import NatsLink


class Clocks(msgspec.Struct, frozen=True):
    """Where the time comes from: production takes the store's for all state, and its own for tokens."""

    store_ms: Callable[[], int] = store_clock
    token_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    least_gap_ms: Callable[[float], int] = least_gap_ms
    """How long no admission pass must have run for visitors not to have been heard, by the seconds between
    two. For a clock that is moved by hand, it is longer than any of its leaps."""


PRODUCTION_CLOCKS = Clocks()


@dataclass(frozen=True)
class Events:
    """What other systems are told with; `link` is None where no NATS server is set."""

    hooks: Hooks
    link: "NatsLink | None"

    @property
    def nats_health(self) -> str:
        """What the health check says of NATS."""
        return "disabled" if self.link is None else self.link.health


@dataclass(frozen=True)
class House:
    """Everything that is made once and lives as long as the process."""

    store: Store
    keeper: KeyKeeper
    book: QueueBook
    registry: Registry
    announcer: Announcer
    office: Office
    live: LiveLoops
    gatehouse: Gatehouse
    witness: Witness
    services: Services
    measures: Measures
    events: Events
    guesses: GuessLimiter
    recovery: Recovery

    def api(
        self,
        settings: Settings,
        admin_key: str,
        user_tokens: UserTokens | None,
        tracing: Tracing | None = None,
    ) -> Api:
        """Open the API, once the keys are known."""
        reception = Reception(
            self.store,
            self.keeper,
            user_tokens,
            cookies=self.services.cookies,
            secrets=Secrets(admin_key, settings.origin_key),
            guesses=self.guesses,
            trusted_proxies=settings.trusted_proxies,
            scrapers=Scrapers(settings.metrics_token, settings.metrics_from),
        )
        how: dict[str, Any] = {
            "random_bytes": RandomPool(os.urandom),
            "measures": self.measures.http,
            "logs_access": settings.access_log,
            "tracing": tracing,
        }
        if settings.allowed_origins:
            return CrossOriginApi(self.services, reception, origins=settings.allowed_origins, **how)
        return Api(self.services, reception, **how)


def assemble(
    store: Store,
    settings: Settings,
    clocks: Clocks,
    measures: Measures,
    event_book: EventBook,
    site_keys: SiteKeys,
    *,
    most_streams_per_address: int,
    uptime_s: Callable[[], float],
) -> House:
    """Make everything that works on `store`, which notes what it does in `event_book`; does no I/O."""
    keeper = KeyKeeper(
        store.secrets,
        clocks.token_ms,
        os.urandom,
        {Purpose.POSITION: settings.position_algorithm, Purpose.SESSION: settings.session_algorithm},
    )
    book = QueueBook(store.queues)
    registry = Registry(AddressShares(most_streams_per_address, settings.trusted_proxies))
    announcer = Announcer(registry, store.announcements)
    events = _events(store, settings, measures.events, event_book)
    guesses = GuessLimiter(settings.limit_guess, store.count, clocks.token_ms)
    blocks = BlockService(store, keeper, book)
    office = Office(store, keeper, book, blocks, announcer.tell, event_book)
    room = Room(
        store,
        keeper,
        book,
        tell=announcer.tell,
        limits=settings.limits,
        clock_ms=clocks.token_ms,
        random_bytes=RandomPool(os.urandom),
        token_lifetime_s=settings.position_token_lifetime,
    )
    memory = Memory(time.monotonic)
    store.remember_with(memory, settings.recovery_wait)
    recovery = Recovery(
        store,
        memory,
        keeper,
        webhooks_seen=events.hooks.webhooks,
        clock_ms=clocks.token_ms,
        folder=settings.data_dir,
        store_mark=store_mark(settings.store_url, settings.store_prefix),
    )
    assets = own_assets()
    witness = Witness(book, announcer.tell, measures.queues)
    gatehouse = Gatehouse(store, book, room, keeper, witness, announcer.tell, time.monotonic)
    services = Services(
        room=room,
        concerts=Concerts(store, keeper, book, settings.limits),
        registry=registry,
        clock_ms=clocks.token_ms,
        office=office,
        gatehouse=gatehouse,
        blocks=blocks,
        issued_passes=PassService(
            store,
            keeper,
            book,
            blocks,
            announcer.tell,
            clock_ms=clocks.token_ms,
            random_bytes=RandomPool(os.urandom),
        ),
        passes=PassReader(keeper, site_keys, guesses, clocks.token_ms),
        keeper=keeper,
        cookies=PlaceCookies(
            lifetime_s=settings.position_token_lifetime,
            serves_https=bool(settings.tls_certificate_file),
            trusted_proxies=settings.trusted_proxies,
            public_url=settings.public_url,
        ),
        trusted_proxies=settings.trusted_proxies,
        store_condition=StoreHealth(store, time.monotonic).condition,
        nats_health=lambda: events.nats_health,
        recovering_queues=lambda: sum(view.is_recovering for view in book.views()),
        webhooks=WebhookDesk(store, events.hooks, random_bytes=os.urandom),
        uptime_s=uptime_s,
        scrape=_scraper(measures, book, registry, recovery, store.space),
        openapi=orjson.dumps(openapi_document()),
        assets=assets,
        desk=WaitingDesk(assets, template_check_command()),
        qr_codes=QrCodes(time.monotonic),
        random=random.random,
        public_url=settings.public_url,
    )
    return House(
        recovery=recovery,
        store=store,
        keeper=keeper,
        book=book,
        registry=registry,
        announcer=announcer,
        office=office,
        gatehouse=gatehouse,
        live=LiveLoops(store, book, registry, settings.live_interval),
        witness=witness,
        services=services,
        measures=measures,
        events=events,
        guesses=guesses,
    )


def _events(store: Store, settings: Settings, measures: EventMeasures, book: EventBook) -> Events:
    """Make what tells other systems; nothing is noted unless somebody is to be told."""
    source = settings.event_source or socket.gethostname()
    hooks = Hooks(
        store.webhooks,
        book,
        measures.webhooks,
        Plan(
            post=Poster(settings.webhook_forbidden, timeout_s=settings.webhook_timeout),
            tries=settings.webhook_tries,
            first_pause_s=settings.webhook_pause,
            most_waiting=settings.event_buffer,
            source=source,
            draw=random.random,
        ),
    )
    link = None
    if settings.nats_url:
        outbox = Outbox("nats", measures.nats, settings.event_buffer)
        book.add(outbox)
        # With asyncio's side of it 65 KiB, and with the client that it loads two megabytes.
        from wr.events.nats_link import NatsLink  # noqa: PLC0415

        link = NatsLink(settings.nats_url, outbox, measures.nats, source=source, draw=random.random)
    return Events(hooks, link)


def _scraper(
    measures: Measures, book: QueueBook, registry: Registry, recovery: Recovery, memory: StoreMemory
) -> Callable[[str], Awaitable[tuple[bytes, str]]]:
    async def scrape(accept: str) -> tuple[bytes, str]:
        readings = Readings(
            version=__version__,
            python=platform.python_version(),
            queues=tuple(
                QueueReading(
                    view.config.id,
                    view.waiting,
                    view.active,
                    view.config.max_active_users,
                    view.config.admission_rate,
                    view.is_recovering,
                    view.forgotten.acknowledged if view.forgotten else 0,
                    view.forgotten.restored if view.forgotten else 0,
                )
                for view in book.views()
            ),
            times_forgotten=recovery.times,
            streams={str(kind): count for kind, count in registry.kinds.items()},
            memory_used=memory.used_bytes,
            memory_max=memory.max_bytes,
            is_full=memory.is_short,
        )
        return await trio.to_thread.run_sync(_spell, snapshot(measures, readings), accept)

    return scrape


def _spell(taken: list[tuple[Metric, Samples]], accept: str) -> tuple[bytes, str]:
    # Loaded here, in the thread: it takes 30 ms, and many a server is never asked.
    text, content_type = import_module("wr.measures.exposition").spell(taken, accept)
    return text, content_type
