"""Runs the server: starts its parts in order and stops them in the reverse order. Read from top to bottom."""

import gc
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

import msgspec
import structlog
import trio

from wr.events.delivery import telling
from wr.events.event_bus import EventBus
from wr.events.store_events import StoreEvents
from wr.http.connection_limits import ConnectionLimits
from wr.http.lanes import Lanes, serve_lanes
from wr.metrics.event_loop_delay import watch_event_loop
from wr.metrics.instruments import Level
from wr.metrics.process_metrics import ProcessMetrics
from wr.model.address_shares import AddressShares
from wr.room.admission import run_admission
from wr.server.demo_queues import create_demo_queues
from wr.server.listening import (
    bound_socket,
    cannot_listen,
    connection_limits,
    raise_open_files_limit,
    socket_url,
    tls_context,
)
from wr.server.settings import Settings
from wr.server.shutdown import Grace
from wr.server.start_keys import (
    load_signing_keys,
    read_site_keys,
    read_user_tokens,
    shared_admin_key,
    warn_of_short_keys,
)
from wr.server.startup import StartUpFailure, opened, unless_stopped
from wr.server.wiring import PRODUCTION_CLOCKS, Clocks, Wiring, assemble
from wr.store.embedded_store import embedded_store
from wr.store.memory_watch import watch_memory
from wr.store.store import open_store
from wr.supervision.loops import keep_running
from wr.tracing.setup import TracesFailure, close_tracer, open_tracer
from wr.tracing.tracer import Tracer

log = structlog.get_logger("wr")


class Ready(msgspec.Struct, frozen=True):
    """What a started server reports: its address, and its admin key."""

    url: str
    admin_key: str
    admin_key_is_ours: bool
    """The server generated the key, now or at an earlier start; the operator did not set one."""
    admin_key_is_new: bool
    """The server generated the key at this start."""


async def run(
    settings: Settings,
    *,
    stop: trio.Event,
    clocks: Clocks = PRODUCTION_CLOCKS,
    environment: Mapping[str, str] = os.environ,
    task_status: trio.TaskStatus[Ready] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `stop` is set, then stop in order and return.

    The `OTEL_*` variables in `environment` turn tracing on.

    Raises:
        StartUpFailure, StoreFailure: the server cannot start. Either may be inside an exception group.
    """
    started_at = trio.current_time()
    warn_of_short_keys(settings)
    limits = connection_limits(settings, raise_open_files_limit())
    tls = tls_context(settings)
    metrics = ProcessMetrics(time.perf_counter)
    event_bus = EventBus()
    async with (
        bound_socket(settings.bind) as listener,
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
            read_site_keys(settings),
            most_streams_per_address=limits.most_per_address,
            uptime_s=lambda: trio.current_time() - started_at,
        )
        user_tokens = read_user_tokens(settings)
        async with unless_stopped(stop):
            admin_key, admin_key_is_new = await _prepare_store(wiring, settings)
        lanes = Lanes(
            wiring.api(settings, admin_key, user_tokens, tracer),
            limits,
            ping_s=settings.ping_interval,
            is_fast=settings.fast_lane,
            tls=tls,
            takes_prior_knowledge=settings.http2 == "on",
        )
        ready = Ready(
            socket_url(listener, "https" if tls else "http"),
            admin_key,
            not settings.admin_key,
            admin_key_is_new,
        )
        serve = partial(_serve, lanes, listener, limits, settings, stop, metrics.connections)
        await _run_until_stopped(wiring, serve, settings, stop, partial(task_status.started, ready))
        await wiring.recovery.keep_last()
    log.info("stopped")


async def _run_until_stopped(
    wiring: Wiring,
    serve: Callable[..., Awaitable[None]],
    settings: Settings,
    stop: trio.Event,
    report_ready: Callable[[], None],
) -> None:
    """Start event delivery, the loops and the lanes, in that order; after `stop`, end them in reverse."""
    events = wiring.events
    grace = Grace(settings.grace, trio.current_time)
    # Event delivery stops after every part that emits events, and before the store, which keeps
    # undelivered ones.
    async with (
        telling(events.hooks, events.link, patience_s=grace.for_events_s),
        trio.open_nursery() as tasks,
    ):
        _start_loops(tasks, wiring)
        async with unless_stopped(stop):
            hearing = partial(wiring.store.announcements.listen, wiring.registry.hurry)
            await tasks.start(keep_running, "hearing", hearing)
            await tasks.start(_admission, wiring, settings.admission_interval)
        async with trio.open_nursery() as serving:
            try:
                await serving.start(serve)
            except OSError as error:
                raise cannot_listen(settings.bind, error) from error
            report_ready()
            await stop.wait()
            grace.begin()
            log.info("stopping: open requests are answered, new ones are not", grace_s=settings.grace)
            wiring.registry.close()
        # No request is left: the loops stop first, then the batches, then the store.
        tasks.cancel_scope.cancel()


def collect_rarely() -> None:
    """Make Python's garbage collector run rarely, and never over the objects that exist now.

    Thousands of connections hold hundreds of thousands of objects that live long. With 1,500 connections,
    scanning them again and again took a third of each request's time (2.7 ms instead of 1.7).
    """
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


def _start_loops(tasks: trio.Nursery, wiring: Wiring) -> None:
    """Start the loops that run as long as the server; one that fails is logged and restarted."""
    tasks.start_soon(keep_running, "keys", lambda _status: wiring.signing_keys.keep_fresh())
    tasks.start_soon(keep_running, "gate", lambda _status: wiring.gate_sessions.report_for_ever())
    tasks.start_soon(keep_running, "positions", lambda _status: wiring.live.look_in_turn())
    tasks.start_soon(keep_running, "news", lambda _status: wiring.live.look_at_once())
    tasks.start_soon(keep_running, "telling", lambda _status: wiring.announcer.announce_for_ever())
    tasks.start_soon(keep_running, "memory", lambda _status: watch_memory(wiring.store.probe))
    tasks.start_soon(keep_running, "recovery", lambda _status: wiring.recovery.keep_for_ever())
    delays = wiring.metrics.event_loop
    tasks.start_soon(keep_running, "event loop", lambda _status: watch_event_loop(delays))


@asynccontextmanager
async def _store_url(settings: Settings, stop: trio.Event) -> AsyncIterator[str]:
    """Give the URL of the store; without one in the settings, run the embedded store meanwhile."""
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
    """Trace if the environment asks for it. The last spans are sent after the last request."""
    try:
        tracer = await open_tracer(environment)
    except TracesFailure as error:
        raise StartUpFailure(str(error)) from error
    try:
        yield tracer
    finally:
        if tracer is not None:
            await close_tracer(tracer)


async def _prepare_store(wiring: Wiring, settings: Settings) -> tuple[str, bool]:
    """Wait for the store and load from it what a start needs.

    Returns the admin key, and whether it is new.
    """
    # Generated once, outside of the retries: the store may keep the key of a try whose reply is lost.
    generated = secrets.token_urlsafe(24)

    async def use() -> tuple[str, bool]:
        await wiring.store.probe.ping()
        await wiring.recovery.open()
        await load_signing_keys(wiring.signing_keys, settings)
        key = await shared_admin_key(wiring.store, settings, generated)
        if not settings.admin_key:
            wiring.recovery.admin_key = key[0]
        if settings.demo_queue:
            await create_demo_queues(wiring.store, wiring.operators)
        return key

    return await opened(use, patience_s=settings.store_patience)


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
