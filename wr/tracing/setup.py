"""Enables traces if the environment asks for them. Otherwise no library is loaded, and nothing is spent."""

import sys
from collections.abc import Mapping, MutableMapping
from importlib import import_module
from typing import Any

import trio

from wr.tracing.tracer import Tracer

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_EXPORTERS = "OTEL_TRACES_EXPORTER"
_SUPPORTED_PROTOCOL = "http/protobuf"
_LAST_SEND_S = 5.0


class TracesFailure(Exception):
    """Traces are requested but not possible. The message is one line that says what to do."""


def is_asked_for(environment: Mapping[str, str]) -> bool:
    """Whether the environment asks for traces, even if they are not possible."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    given = environment.get(_EXPORTERS, "").strip()
    return given != "none" and bool(given or any(environment.get(name) for name in _ENDPOINTS))


def asked_exporters(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the requested exporters, `otlp` or `console` or both; none if no traces are requested.

    Raises:
        TracesFailure: the environment asks for an exporter or a protocol that is not supported.
    """
    if not is_asked_for(environment):
        return ()
    given = environment.get(_EXPORTERS, "").strip()
    exporters = tuple(name.strip() for name in (given or "otlp").split(",") if name.strip() != "none")
    for name in exporters:
        if name not in ("otlp", "console"):
            raise TracesFailure(f"{_EXPORTERS}: '{name}' must be otlp, console or none")
    protocol = next((environment[name] for name in _PROTOCOLS if environment.get(name)), _SUPPORTED_PROTOCOL)
    if "otlp" in exporters and protocol != _SUPPORTED_PROTOCOL:
        raise TracesFailure(f"{_PROTOCOLS[1]}: '{protocol}' is not supported, only {_SUPPORTED_PROTOCOL} is")
    return exporters


def load_nothing_unasked(
    environment: Mapping[str, str], modules: MutableMapping[str, Any] = sys.modules
) -> None:
    """Prevent this process from loading the OpenTelemetry library unless traces are requested.

    Call it before the store's client is imported. If the library is installed, that client loads it for
    metrics of its own, which are not used here and take 13 MiB.
    """
    if not is_asked_for(environment):
        # The import system does not look for a module whose name stands for None, though the type of
        # `sys.modules` does not say so: hence the `Any`.
        modules.setdefault("opentelemetry", None)


async def open_tracer(environment: Mapping[str, str]) -> Tracer | None:
    """Set up traces as the environment (`OTEL_…`) says. Returns None if it does not ask for traces.

    Raises:
        TracesFailure: the request is not supported, or the library is not installed.
    """
    exporters = asked_exporters(environment)
    if not exporters:
        return None
    try:
        # In a thread, because the import takes half a second.
        module = await trio.to_thread.run_sync(import_module, "wr.tracing.spans")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise TracesFailure(
            f"the environment asks for traces, but {error.name} is not installed: "
            "run `pip install 'wr[tracing]'`, or unset the OTEL_ variables"
        ) from error
    tracer: Tracer = module.make_tracer(exporters)
    return tracer


async def close_tracer(tracer: Tracer) -> None:
    """Send the spans that are not sent yet, for a few seconds at most."""
    with trio.move_on_after(_LAST_SEND_S, shield=True):
        await trio.to_thread.run_sync(tracer.close, abandon_on_cancel=True)
