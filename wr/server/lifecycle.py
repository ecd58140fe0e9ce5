"""The process: what starts, in which order, and what stops, in the other. Read from top to bottom."""

import gc
import os
import resource
import secrets
import socket
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import msgspec
import structlog
import trio
from cryptography.exceptions import UnsupportedAlgorithm

from wr.api.user_queue.user_tokens import UserTokens, read_user_key
from wr.events.delivery import telling
from wr.events.event_bus import EventBus
from wr.events.store_events import StoreEvents
from wr.http.connection_limits import ConnectionLimits
from wr.http.lanes import Lanes, serve_lanes
from wr.metrics.event_loop_delay import watch_event_loop
from wr.metrics.instruments import Level
from wr.metrics.process_metrics import ProcessMetrics
from wr.model.address_shares import AddressShares
from wr.model.audit import Actor
from wr.model.queue import QueueConfig
from wr.model.queue_defaults import new_queue
from wr.model.refusals import Conflict
from wr.room.admission import run_admission
from wr.room.operators import OperatorService
from wr.room.pass_reader import SiteKeys, open_site_keys
from wr.room.signing_keys import SigningKeys
from wr.server.settings import Settings
from wr.server.shutdown import Grace
from wr.server.startup import StartUpFailure, opened, unless_stopped
from wr.server.wiring import PRODUCTION_CLOCKS, Clocks, Wiring, assemble
from wr.store.embedded_store import embedded_store
from wr.store.memory_watch import watch_memory
from wr.store.private_files import write_private
from wr.store.store import Store, open_store
from wr.supervision.loops import keep_running
from wr.tracing.setup import TracesFailure, close_tracer, open_tracer
from wr.tracing.tracer import Tracer

log = structlog.get_logger("wr")

ADMIN_KEY_FILE = "admin-key"
_SHORTEST_KEY = 16
"""Characters under which the start warns of a key."""
_MOST_FILES = 1_000_000
_LEAST_SHARE = 64
"""Connections that one address may hold on a server however small, because people behind one NAT share it."""
_FILES_KEPT = 100
"""Descriptors that are not for connections: the store's, the log, threads' pipes."""

DEMO_QUEUE = QueueConfig(
    id="demo",
    name="Demo sale",
    target_url="https://example.com/checkout",
    max_active_users=150,
    max_queue_size=100_000,
    admission_rate=50.0,
    session_timeout_seconds=60,
    heartbeat_interval_seconds=20,
    heartbeat_timeout_seconds=50,
)
DEMO_QUEUES = (
    DEMO_QUEUE,
    # Those that the examples of both API documents name, so that they work as they stand.
    QueueConfig(id="concert-tickets", name="Concert Ticket Sale", target_url="https://example.com/checkout"),
    new_queue("concert-1", {"name": "Concert 1", "target_url": "https://example.com/checkout"}),
)


class Ready(msgspec.Struct, frozen=True):
    """Where a server that has started is reached, and its admin key: ours or the operator's, new or not."""

    url: str
    admin_key: str
    admin_key_is_ours: bool
    admin_key_is_new: bool


async def run(
    settings: Settings,
    *,
    stop: trio.Event,
    clocks: Clocks = PRODUCTION_CLOCKS,
    environment: Mapping[str, str] = os.environ,
    task_status: trio.TaskStatus[Ready] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `stop` is set, then end in order and return. `environment` says whether to trace.

    Raises:
        StartUpFailure, StoreFailure: the server cannot start; perhaps inside an exception group.
    """
    started_at = trio.current_time()
    _warn_of_short_keys(settings)
    limits = _connection_limits(settings, _allow_many_files())
    tls = _tls_context(settings)
    metrics = ProcessMetrics(time.perf_counter)
    event_bus = EventBus()
    async with (
        _bound(settings.bind) as listener,
        _tracer(environment) as tracer,
        _store_url(settings, stop) as url,
        open_store(
            url,
            settings.limits,
            prefix=settings.store_prefix,
            now_ms=clocks.store_ms,
            metrics=metrics,
            tracer=tracer,
            observer=StoreEvents(event_bus),
            least_gap_ms=clocks.least_gap_ms(settings.admission_interval),
        ) as store,
    ):
        wiring = assemble(
            store,
            settings,
            clocks,
            metrics,
            event_bus,
            _site_keys(settings),
            most_streams_per_address=limits.most_per_address,
            uptime_s=lambda: trio.current_time() - started_at,
        )
        user_tokens = _user_tokens(settings)
        async with unless_stopped(stop):
            admin_key, admin_key_is_new = await _use_store(wiring, settings)
        lanes = Lanes(
            wiring.api(settings, admin_key, user_tokens, tracer),
            limits,
            ping_s=settings.ping_interval,
            is_fast=settings.fast_lane,
            tls=tls,
            takes_prior_knowledge=settings.http2 == "on",
        )
        events = wiring.events
        grace = Grace(settings.grace, trio.current_time)
        # Outside of all that notes events, inside of the store that keeps what could not be delivered.
        async with (
            telling(events.hooks, events.link, patience_s=grace.for_events_s),
            trio.open_nursery() as tasks,
        ):
            tasks.start_soon(keep_running, "keys", lambda _status: wiring.signing_keys.keep_fresh())
            tasks.start_soon(keep_running, "gate", lambda _status: wiring.gate_sessions.report_for_ever())
            tasks.start_soon(keep_running, "positions", lambda _status: wiring.live.look_in_turn())
            tasks.start_soon(keep_running, "news", lambda _status: wiring.live.look_at_once())
            tasks.start_soon(keep_running, "telling", lambda _status: wiring.announcer.announce_for_ever())
            tasks.start_soon(keep_running, "memory", lambda _status: watch_memory(store.probe))
            tasks.start_soon(keep_running, "recovery", lambda _status: wiring.recovery.keep_for_ever())
            delays = metrics.event_loop
            tasks.start_soon(keep_running, "event loop", lambda _status: watch_event_loop(delays))
            hearing = partial(store.announcements.listen, wiring.registry.hurry)
            async with unless_stopped(stop):
                await tasks.start(keep_running, "hearing", hearing)
                await tasks.start(_admission, wiring, settings.admission_interval)
            async with trio.open_nursery() as serving:
                try:
                    await serving.start(_serve, lanes, listener, limits, settings, stop, metrics.connections)
                except OSError as error:
                    raise _cannot_listen(settings.bind, error) from error
                task_status.started(
                    Ready(
                        _url(listener, "https" if tls else "http"),
                        admin_key,
                        not settings.admin_key,
                        admin_key_is_new,
                    )
                )
                await stop.wait()
                grace.begin()
                log.info("stopping: no new requests, those under way are answered", grace_s=settings.grace)
                wiring.registry.close()
            # Nobody asks any more: now the loops may end, then the batches, then the store.
            tasks.cancel_scope.cancel()
        await wiring.recovery.keep_last()
    log.info("stopped")


def collect_rarely() -> None:
    """Have the garbage collector look at what is new only, and not after every few hundred objects.

    Thousands of connections are hundreds of thousands of objects that live long; looking through all of them
    again and again took a third of each request's time with 1,500 connections (2.7 ms instead of 1.7).
    """
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


def _allow_many_files() -> int:
    """Use all the descriptors the system grants: the usual soft limit would turn a crowd away at 1,024.

    Returns how many that is.
    """
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    granted = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _MOST_FILES if granted == resource.RLIM_INFINITY else min(granted, _MOST_FILES)


def _connection_limits(settings: Settings, files: int) -> ConnectionLimits:
    most = settings.max_connections or max(1, files - _FILES_KEPT)
    return ConnectionLimits(
        most_connections=most,
        most_per_address=settings.connections_per_address or max(_LEAST_SHARE, most // 10),
        most_requests=settings.requests_per_connection,
        idle_patience_s=settings.idle_timeout,
        head_patience_s=settings.head_timeout,
        body_patience_s=settings.body_timeout,
        send_patience_s=settings.send_timeout,
    )


def _tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Set up TLS where there is a certificate; HTTP/2 is offered only where the operator wants it."""
    if not settings.tls_certificate_file:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"] if settings.http2 == "off" else ["h2", "http/1.1"])
    try:
        context.load_cert_chain(settings.tls_certificate_file, settings.tls_key_file or None, password="")
    except OSError as error:
        files = f"{settings.tls_certificate_file} {settings.tls_key_file}".strip()
        raise StartUpFailure(f"tls_certificate_file {files}: {error}") from error
    return context


@asynccontextmanager
async def _bound(bind: str) -> AsyncIterator[socket.socket]:
    """Take the address before anything else is started, so that a taken port costs nothing."""
    host, _, port = bind.rpartition(":")
    host = host.strip("[]")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listener.bind((host, int(port)))
        except OSError as error:
            raise _cannot_listen(bind, error) from error
        yield listener


def _cannot_listen(bind: str, error: OSError) -> StartUpFailure:
    return StartUpFailure(f"cannot listen on {bind}: {error.strerror or error}")


def _url(listener: socket.socket, scheme: str) -> str:
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


@asynccontextmanager
async def _store_url(settings: Settings, stop: trio.Event) -> AsyncIterator[str]:
    """Start the embedded store, unless another one is to be used; stopped last of all."""
    if settings.store_url:
        yield settings.store_url
        return
    async with embedded_store(
        settings.data_dir,
        settings.store_fsync,
        memory=settings.store_memory * 2**20,
        give_up=stop.wait,
    ) as url:
        yield url


@asynccontextmanager
async def _tracer(environment: Mapping[str, str]) -> AsyncIterator[Tracer | None]:
    """Trace, if that is asked for; what is left is sent when nobody asks any more."""
    try:
        tracer = await open_tracer(environment)
    except TracesFailure as error:
        raise StartUpFailure(str(error)) from error
    try:
        yield tracer
    finally:
        if tracer is not None:
            await close_tracer(tracer)


async def _open_keys(signing_keys: SigningKeys, settings: Settings) -> None:
    try:
        await signing_keys.open(settings.session_key_file)
    except (OSError, TypeError, ValueError, UnsupportedAlgorithm) as error:
        what = (
            f"session_key_file {settings.session_key_file}" if settings.session_key_file else "signing keys"
        )
        raise StartUpFailure(f"{what}: {error}") from error


def _user_tokens(settings: Settings) -> UserTokens | None:
    if settings.waiting_queue_auth == "none":
        return None
    path = settings.waiting_queue_key_file
    try:
        return read_user_key(Path(path))
    except (OSError, TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise StartUpFailure(f"waiting_queue_key_file {path}: {error}") from error


def _site_keys(settings: Settings) -> SiteKeys:
    try:
        return open_site_keys(settings.pass_key)
    except (OSError, TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise StartUpFailure(f"pass_key {settings.pass_key}: {error}") from error


def _warn_of_short_keys(settings: Settings) -> None:
    """Warn of keys that could be guessed: attempts are limited for each address, and addresses are many."""
    for name in ("admin_key", "origin_key", "metrics_token"):
        if 0 < len(getattr(settings, name)) < _SHORTEST_KEY:
            log.warning(
                "a key is short enough to be guessed: let it have 16 characters or more", setting=name
            )


async def _use_store(wiring: Wiring, settings: Settings) -> tuple[str, bool]:
    """Wait for the store, and do what a start does there; returns the admin key and whether it is new."""
    # Made once: the answer to a try that stored it may get lost.
    generated = secrets.token_urlsafe(24)

    async def use() -> tuple[str, bool]:
        await wiring.store.probe.ping()
        await wiring.recovery.open()
        await _open_keys(wiring.signing_keys, settings)
        key = await _admin_key(wiring.store, settings, generated)
        if not settings.admin_key:
            wiring.recovery.admin_key = key[0]
        if settings.demo_queue:
            await _make_demo_queues(wiring.store, wiring.operators)
        return key

    return await opened(use, patience_s=settings.store_patience)


async def _admin_key(store: Store, settings: Settings, generated: str) -> tuple[str, bool]:
    """Find the admin key: the operator's, or one of ours that all replicas share and the data folder repeats
    for the commands that run beside the server."""
    if settings.admin_key:
        return settings.admin_key, False
    key = await store.secrets.first_admin_key(generated)
    await trio.to_thread.run_sync(_note_admin_key, settings.data_dir, key)
    return key, key == generated


def _note_admin_key(data_dir: Path, key: str) -> None:
    path = data_dir / ADMIN_KEY_FILE
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(path, key + "\n")
    except OSError as error:
        log.warning(
            "the admin key could not be noted for local commands; if nobody knows it, give --admin-key",
            file=str(path),
            error=str(error),
        )


async def _make_demo_queues(store: Store, operators: OperatorService) -> None:
    if not await store.queues.names():
        for config in DEMO_QUEUES:
            try:
                await operators.create_queue(Actor("wr serve", ""), config)
            except Conflict:
                log.info("another replica made a demo queue", queue_id=config.id)


async def _admission(
    wiring: Wiring,
    interval_s: float,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    await run_admission(
        wiring.store.passes,
        wiring.recovery,
        wiring.observer,
        interval_s=interval_s,
        metrics=wiring.metrics.admission,
        machine_of=wiring.store.machine_of,
        task_status=task_status,
    )


async def _serve(
    lanes: Lanes,
    listener: socket.socket,
    limits: ConnectionLimits,
    settings: Settings,
    stop: trio.Event,
    is_open: Level,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    await serve_lanes(
        lanes,
        listener,
        most=limits.most_connections,
        shares=AddressShares(limits.most_per_address, settings.trusted_proxies),
        grace_s=settings.grace,
        until=stop.wait,
        is_open=is_open,
        task_status=task_status,
    )
