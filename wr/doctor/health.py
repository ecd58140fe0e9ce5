"""Checks the health of a running server, for `wr health` and for the doctor."""

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
    """Return the URL under which a server with these settings is reached from its own machine."""
    host, port = split_bind(settings.bind)
    host = _ANYWHERE.get(host, host)
    scheme = "https" if settings.tls_certificate_file else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def check_health(url: str, *, is_own: bool = False) -> Finding:
    """Ask the server at `url` for its health; an error unless it is healthy.

    With `is_own`, the server runs on this machine, and its certificate is not verified: the certificate
    contains the name that visitors use.

    Raises:
        ValueError: `url` is not an http or https URL.
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
        return bad(subject, f"the server at {url} is not wr", "give its address with --url or --bind")
    if health.status != "healthy":
        parts = ", ".join(name for name, state in health.components.items() if state != "healthy")
        return bad(
            subject,
            f"wr {health.version} at {url} is unhealthy: {parts or 'it gives no reason'}",
            "read its log",
        )
    trouble = trouble_of(health)
    if trouble:
        return unsure(subject, f"wr {health.version} at {url} is healthy, but {trouble}", MORE_MEMORY)
    return good(subject, f"wr {health.version} at {url} is healthy")


def trouble_of(health: HealthResponse) -> str:
    """Return the problem of a server that is healthy all the same; empty if there is none."""
    if health.components.get("dragonflydb") == Condition.FULL:
        return "the store's memory is nearly full: joins are refused"
    return ""
