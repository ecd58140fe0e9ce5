"""Wiring: creates every object of the server and connects them, for one store and one set of settings."""

import os
import random
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import orjson

from wr.api.cross_origin import CrossOriginApi
from wr.api.dispatch import Api
from wr.api.metrics_access import MetricsAccess
from wr.api.openapi import openapi_document
from wr.api.pages.page_cache import WaitingPageCache
from wr.api.pages.qr_codes import QrCodes
from wr.api.place_cookies import PlaceCookies
from wr.api.request_guard import RequestGuard, Secrets
from wr.api.services import Services
from wr.api.user_queue.user_tokens import UserTokens
from wr.api.visitors.queue_facts_cache import QueueFactsCache
from wr.events.event_bus import EventBus, Outbox
from wr.events.http_client import HttpClient
from wr.events.webhook_dispatcher import WebhookDispatcher
from wr.events.webhook_worker import DeliveryPolicy
from wr.live.announcer import Announcer
from wr.live.refresh_loops import LiveLoops
from wr.live.registry import Registry
from wr.metrics.event_metrics import EventMetrics
from wr.metrics.process_metrics import ProcessMetrics
from wr.model.address_shares import AddressShares
from wr.model.randomness import RandomPool
from wr.model.signing import Purpose
from wr.recovery.acknowledged_state import AcknowledgedState
from wr.recovery.recovery import Recovery
from wr.recovery.recovery_file import store_mark
from wr.room.admission import AdmissionObserver
from wr.room.blocks import BlockService
from wr.room.gate_sessions import GateSessionService
from wr.room.guess_limiter import GuessLimiter
from wr.room.operators import OperatorService
from wr.room.pass_reader import PassReader, SiteKeys
from wr.room.passes import PassService
from wr.room.queue_cache import QueueCache
from wr.room.signing_keys import SigningKeys
from wr.room.user_queue import UserQueueService
from wr.room.visitors import VisitorService
from wr.room.webhooks import WebhookService
from wr.server.health import ServerHealth
from wr.server.metrics_exposition import MetricsExposition
from wr.server.settings import Settings
from wr.store.admit import least_gap_ms
from wr.store.health import StoreHealth
from wr.store.store import Store, store_clock
from wr.tracing.tracer import Tracer
from wr.web.assets import own_assets
from wr.web.template_check import template_check_command

if TYPE_CHECKING:
    from wr.events.nats_publisher import NatsPublisher


class Clocks(msgspec.Struct, frozen=True):
    """Sources of time: production uses the store's clock for all state and the process's clock for tokens."""

    store_ms: Callable[[], int] = store_clock
    token_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    least_gap_ms: Callable[[float], int] = least_gap_ms
    """Takes the seconds between two admission passes; returns the shortest gap, in ms, that counts as
    an outage. During an outage the server could not receive heartbeats, so silent visitors keep their places.
    Tests that move the clock by hand set it longer than any of their steps."""


PRODUCTION_CLOCKS = Clocks()


@dataclass(frozen=True)
class Events:
    """Publishers of events to other systems. `link` is None if no NATS server is set."""

    hooks: WebhookDispatcher
    link: "NatsPublisher | None"

    @property
    def nats_health(self) -> str:
        """The state of NATS in the health check."""
        return "disabled" if self.link is None else self.link.health


@dataclass(frozen=True)
class Wiring:
    """The objects that are created once and live as long as the process."""

    store: Store
    signing_keys: SigningKeys
    queue_cache: QueueCache
    registry: Registry
    announcer: Announcer
    operators: OperatorService
    live: LiveLoops
    gate_sessions: GateSessionService
    observer: AdmissionObserver
    services: Services
    metrics: ProcessMetrics
    events: Events
    guesses: GuessLimiter
    recovery: Recovery

    def api(
        self,
        settings: Settings,
        admin_key: str,
        user_tokens: UserTokens | None,
        tracer: Tracer | None = None,
    ) -> Api:
        """Create the API. Call it when the admin key and the signing keys are loaded."""
        guard = RequestGuard(
            self.store,
            self.signing_keys,
            user_tokens,
            cookies=self.services.cookies,
            secrets=Secrets(admin_key, settings.origin_key),
            guesses=self.guesses,
            trusted_proxies=settings.trusted_proxies,
            scrapers=MetricsAccess(settings.metrics_token, settings.metrics_from),
        )
        random_bytes = RandomPool(os.urandom)
        if settings.allowed_origins:
            return CrossOriginApi(
                self.services,
                guard,
                origins=settings.allowed_origins,
                random_bytes=random_bytes,
                metrics=self.metrics.http,
                logs_access=settings.access_log,
                tracer=tracer,
            )
        return Api(
            self.services,
            guard,
            random_bytes=random_bytes,
            metrics=self.metrics.http,
            logs_access=settings.access_log,
            tracer=tracer,
        )


def assemble(
    store: Store,
    settings: Settings,
    clocks: Clocks,
    metrics: ProcessMetrics,
    event_bus: EventBus,
    site_keys: SiteKeys,
    *,
    most_streams_per_address: int,
    uptime_s: Callable[[], float],
) -> Wiring:
    """Create everything that works on `store`. The store reports its events to `event_bus`. Does no I/O."""
    signing_keys = _signing_keys(store, settings, clocks)
    queue_cache = QueueCache(store.queues)
    registry = Registry(AddressShares(most_streams_per_address, settings.trusted_proxies))
    announcer = Announcer(registry, store.announcements)
    events = _events(store, settings, metrics.events, event_bus)
    guesses = GuessLimiter(settings.limit_guess, store.count, clocks.token_ms)
    blocks = BlockService(store, signing_keys, queue_cache)
    operators = OperatorService(store, signing_keys, queue_cache, blocks, announcer.tell, event_bus)
    visitors = VisitorService(
        store,
        signing_keys,
        queue_cache,
        tell=announcer.tell,
        limits=settings.limits,
        clock_ms=clocks.token_ms,
        random_bytes=RandomPool(os.urandom),
        token_lifetime_s=settings.position_token_lifetime,
    )
    recovery = _recovery(store, settings, clocks, signing_keys, events)
    assets = own_assets()
    observer = AdmissionObserver(queue_cache, announcer.tell, metrics.queues)
    gate_sessions = GateSessionService(store, queue_cache, visitors, observer, announcer.tell, time.monotonic)
    services = Services(
        visitors=visitors,
        user_queue=UserQueueService(store, signing_keys, queue_cache, settings.limits),
        registry=registry,
        clock_ms=clocks.token_ms,
        operators=operators,
        gate_sessions=gate_sessions,
        blocks=blocks,
        issued_passes=PassService(
            store,
            signing_keys,
            queue_cache,
            blocks,
            announcer.tell,
            clock_ms=clocks.token_ms,
            random_bytes=RandomPool(os.urandom),
        ),
        passes=PassReader(signing_keys, site_keys, guesses, clocks.token_ms),
        signing_keys=signing_keys,
        cookies=_place_cookies(settings),
        trusted_proxies=settings.trusted_proxies,
        health=ServerHealth(StoreHealth(store.probe, time.monotonic), events, queue_cache, uptime_s),
        metrics=MetricsExposition(metrics, queue_cache, registry, recovery, store.space),
        webhooks=WebhookService(store, events.hooks, random_bytes=os.urandom),
        openapi=orjson.dumps(openapi_document()),
        assets=assets,
        page_cache=WaitingPageCache(assets, template_check_command()),
        qr_codes=QrCodes(time.monotonic),
        queue_facts=QueueFactsCache(),
        random=random.random,
        public_url=settings.public_url,
    )
    return Wiring(
        recovery=recovery,
        store=store,
        signing_keys=signing_keys,
        queue_cache=queue_cache,
        registry=registry,
        announcer=announcer,
        operators=operators,
        gate_sessions=gate_sessions,
        live=LiveLoops(store, store.restorations, queue_cache, registry, settings.live_interval),
        observer=observer,
        services=services,
        metrics=metrics,
        events=events,
        guesses=guesses,
    )


def _signing_keys(store: Store, settings: Settings, clocks: Clocks) -> SigningKeys:
    return SigningKeys(
        store.secrets,
        clocks.token_ms,
        os.urandom,
        {Purpose.POSITION: settings.position_algorithm, Purpose.SESSION: settings.session_algorithm},
    )


def _recovery(
    store: Store, settings: Settings, clocks: Clocks, signing_keys: SigningKeys, events: Events
) -> Recovery:
    """Create the recovery, and make the store report what it acknowledges."""
    memory = AcknowledgedState(time.monotonic)
    store.remember_with(memory, settings.recovery_wait)
    return Recovery(
        store,
        memory,
        signing_keys,
        webhooks_seen=events.hooks.webhooks,
        clock_ms=clocks.token_ms,
        folder=settings.data_dir,
        store_mark=store_mark(settings.store_url, settings.store_prefix),
    )


def _place_cookies(settings: Settings) -> PlaceCookies:
    return PlaceCookies(
        lifetime_s=settings.position_token_lifetime,
        serves_https=bool(settings.tls_certificate_file),
        trusted_proxies=settings.trusted_proxies,
        public_url=settings.public_url,
    )


def _events(store: Store, settings: Settings, metrics: EventMetrics, event_bus: EventBus) -> Events:
    """Create the publishers of events. Without NATS and webhooks, no event is recorded."""
    source = settings.event_source or socket.gethostname()
    hooks = WebhookDispatcher(
        store.webhooks,
        event_bus,
        metrics.webhooks,
        DeliveryPolicy(
            post=HttpClient(settings.webhook_forbidden, timeout_s=settings.webhook_timeout),
            tries=settings.webhook_tries,
            first_pause_s=settings.webhook_pause,
            most_waiting=settings.event_buffer,
            source=source,
            draw=random.random,
        ),
    )
    link = None
    if settings.nats_url:
        outbox = Outbox("nats", metrics.nats, settings.event_buffer)
        event_bus.add(outbox)
        # Imported only when needed: the module needs 65 KiB with asyncio, and 2 MB with the NATS client.
        from wr.events.nats_publisher import NatsPublisher  # noqa: PLC0415

        link = NatsPublisher(settings.nats_url, outbox, metrics.nats, source=source, draw=random.random)
    return Events(hooks, link)
