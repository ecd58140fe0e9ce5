"""Whether the environment asks for traces, and opening them if so: nothing is loaded or spent otherwise."""

import sys
from collections.abc import Mapping, MutableMapping
from importlib import import_module
from typing import Any

import trio

from wr.tracing.tracer import Tracer

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_EXPORTERS = "OTEL_TRACES_EXPORTER"
_SPOKEN = "http/protobuf"
_LAST_WORDS_S = 5.0


class TracesFailure(Exception):
    """Traces are asked for and cannot be had; the message is one line that says what to do."""


def is_asked_for(environment: Mapping[str, str]) -> bool:
    """Whether the environment asks for traces, be it in a way that cannot be met."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    given = environment.get(_EXPORTERS, "").strip()
    return given != "none" and bool(given or any(environment.get(name) for name in _ENDPOINTS))


def asked_exporters(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Name what traces are to be sent with: `otlp`, `console`; none of them where no traces are asked for.

    Raises:
        TracesFailure: something is asked for that is not there.
    """
    if not is_asked_for(environment):
        return ()
    given = environment.get(_EXPORTERS, "").strip()
    exporters = tuple(name.strip() for name in (given or "otlp").split(",") if name.strip() != "none")
    for name in exporters:
        if name not in ("otlp", "console"):
            raise TracesFailure(f"{_EXPORTERS}: '{name}' is none of otlp, console, none")
    protocol = next((environment[name] for name in _PROTOCOLS if environment.get(name)), _SPOKEN)
    if "otlp" in exporters and protocol != _SPOKEN:
        raise TracesFailure(f"{_PROTOCOLS[1]}: '{protocol}' is not spoken here, {_SPOKEN} is")
    return exporters


def load_nothing_unasked(
    environment: Mapping[str, str], modules: MutableMapping[str, Any] = sys.modules
) -> None:
    """Have nobody in this process load the library unless traces are asked for.

    To be called before the store's client is loaded: wherever the library is installed, the client loads it
    for metrics of its own that nobody reads, and that is 13 MiB.
    """
    if not is_asked_for(environment):
        # The import system does not look for a module whose name stands for None, though the type of
        # `sys.modules` does not say so: hence the `Any`.
        modules.setdefault("opentelemetry", None)


async def open_tracer(environment: Mapping[str, str]) -> Tracer | None:
    """Get ready to trace, as the environment says (`OTEL_…`); None where it asks for nothing.

    Raises:
        TracesFailure: it asks for what is not there, such as a library that is not installed.
    """
    exporters = asked_exporters(environment)
    if not exporters:
        return None
    try:
        # In a thread: it takes half a second.
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
    """Send what is not sent yet, for a few seconds at most."""
    with trio.move_on_after(_LAST_WORDS_S, shield=True):
        await trio.to_thread.run_sync(tracer.close, abandon_on_cancel=True)
