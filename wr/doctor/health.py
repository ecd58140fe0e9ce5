"""Whether a server does its work just now: what `wr health` says, for whoever restarts what does not."""

import ssl

from wr.api.service.messages import HealthResponse
from wr.client.http_exchange import NoAnswer, read_url
from wr.doctor.finding import Finding, bad, good, unsure
from wr.doctor.http_probe import ask
from wr.server.setting_values import split_bind
from wr.server.settings import Settings
from wr.store.health import Condition

MORE_MEMORY = "raise the `maxmemory` of the store, or wait until places and sessions have ended"
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound to


def own_url(settings: Settings) -> str:
    """Spell how a server with these settings is reached from its own machine."""
    host, port = split_bind(settings.bind)
    host = _ANYWHERE.get(host, host)
    scheme = "https" if settings.tls_certificate_file else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def check_health(url: str, *, is_own: bool = False) -> Finding:
    """Ask the server at `url` how it is; bad unless it can do its work.

    A server on this very machine, `is_own`, need not prove with its certificate who it is: that names what
    visitors call it.

    Raises:
        ValueError: it is not an http or https URL.
    """
    read_url(url)
    subject = "health"
    tls = ssl._create_unverified_context() if is_own else None  # noqa: S323 - no secret is sent
    try:
        answer = ask(f"{url.rstrip('/')}/health", tls=tls)
    except NoAnswer as error:
        return bad(subject, f"no server answers at {url} ({error})", "start one with `wr serve`")
    health = answer.read(HealthResponse)
    if health is None:
        return bad(subject, f"what answers at {url} is no wr", "say with --url or --bind where one is")
    if health.status != "healthy":
        parts = ", ".join(name for name, state in health.components.items() if state != "healthy")
        return bad(
            subject,
            f"wr {health.version} at {url} is unhealthy: {parts or 'it does not say why'}",
            "see its log",
        )
    trouble = trouble_of(health)
    if trouble:
        return unsure(subject, f"wr {health.version} at {url} serves, but {trouble}", MORE_MEMORY)
    return good(subject, f"wr {health.version} at {url} is healthy")


def trouble_of(health: HealthResponse) -> str:
    """Tell what a server that serves visitors has to say all the same; empty where that is nothing."""
    if health.components.get("dragonflydb") == Condition.FULL:
        return "the store's memory is short: joins are refused"
    return ""
