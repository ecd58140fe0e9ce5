"""One connection to a NATS server: opens it within a time limit, checks the stream, and closes it."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import structlog

from wr.model.events import SUBJECT_ROOT, EventType

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js import JetStreamContext

log = structlog.get_logger("wr.events.nats")

STREAM = "WAITINGROOM"
_KEPT_S = 7 * 24 * 3600
"""How long a stream that is created here keeps events. Without a limit it would fill the disk."""
_REPEATS_S = 120
"""For how many seconds NATS recognises an event that it has already stored."""
ACKNOWLEDGE_S = 5.0
_CONNECT_S = 5.0
_CHECK_S = 5.0
_PING_S = 5.0
_CLOSE_S = 1.0
_OVERLAPS = 10065
"""JetStream's error code for a new stream with subjects that another stream already has."""
_FORBIDDEN = re.compile(r'permissions violation for publish to "([^"]+)"', re.IGNORECASE)
_MOST_FORBIDDEN = 100


class Connected:
    """An open connection for publishing, and what is known about the NATS server."""

    def __init__(self) -> None:
        self.is_closed = asyncio.Event()
        self.forbidden: set[str] = set()
        """Subjects on which NATS does not allow this user to publish."""
        self.is_forbidden = asyncio.Event()
        """Set when `forbidden` is not empty."""
        self.untaken: frozenset[str] = frozenset()
        """Subjects of events that no stream stores. Empty if the check was not possible."""
        self.is_seen = False
        """Whether the check found a stream for at least some events."""
        self.jetstream: JetStreamContext

    async def closed(self) -> None:
        """Note that the connection is closed. nats-py calls it."""
        self.is_closed.set()

    async def noted(self, error: Exception) -> None:
        """Note an error that NATS reports, above all missing permissions. nats-py calls it."""
        log.debug("NATS reports", error=str(error))
        found = _FORBIDDEN.search(str(error))
        if found and len(self.forbidden) < _MOST_FORBIDDEN:
            self.forbidden.add(found[1])
            self.is_forbidden.set()


@asynccontextmanager
async def connected(url: str, name: str) -> AsyncIterator[Connected]:
    """Try each server in `url` once, and connect to the first that accepts.

    The caller has to reconnect. If nats-py did it, it would send unsent messages again, in addition to those
    that the caller publishes again.

    Raises:
        OSError, TimeoutError, nats.errors.Error: no server accepts. It is the error of the last one.
    """
    # Imported late, because the import takes 30 ms and 8 MB that a server without NATS need not spend.
    import nats.errors  # noqa: PLC0415
    from nats.aio.client import Client  # noqa: PLC0415

    servers = [server.strip() for server in url.split(",") if server.strip()]
    for server in servers:
        client, link = Client(), Connected()
        try:
            try:
                await _connect(client, link, server, name)
            except (OSError, TimeoutError, nats.errors.Error):
                if server == servers[-1]:
                    raise
                continue
            link.jetstream = client.jetstream(timeout=ACKNOWLEDGE_S)
            await _check_stream(client, link)
            yield link
            return
        finally:
            await _close(client)


async def _connect(client: "Client", link: Connected, server: str, name: str) -> None:
    import nats.errors  # noqa: PLC0415

    address, user, password = _login(server)
    last: Exception | None = None

    async def noted(error: Exception) -> None:
        nonlocal last
        last = error
        await link.noted(error)

    try:
        await asyncio.wait_for(
            client.connect(
                servers=[address],
                name=name,
                allow_reconnect=False,
                # One attempt: 0 would mean for ever. By default nats-py would also pause two seconds.
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=_CONNECT_S,  # type: ignore[arg-type] # any number of seconds
                ping_interval=_PING_S,  # type: ignore[arg-type]
                max_outstanding_pings=2,
                closed_cb=link.closed,
                disconnected_cb=link.closed,
                error_cb=noted,
                user=None if password is None else user,
                password=password,
                # A URL with a user and no password holds a token. nats-py reads such URLs in the same way.
                token=user or None if password is None else None,
            ),
            _CONNECT_S,
        )
    except nats.errors.NoServersError as error:
        # This error gives no reason. The error before it does.
        if isinstance(last, OSError | TimeoutError | nats.errors.Error):
            raise last from None
        raise error from last


def _login(server: str) -> tuple[str, str, str | None]:
    """Split a URL into the address without credentials, the user, and the password, both percent-decoded."""
    parts = urlsplit(server)
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    password = None if parts.password is None else unquote(parts.password)
    return address, unquote(parts.username or ""), password


async def _close(client: "Client") -> None:
    import nats.errors  # noqa: PLC0415

    try:
        await asyncio.wait_for(client.close(), _CLOSE_S)
    except (TimeoutError, OSError, nats.errors.Error) as error:
        log.debug("the connection to NATS was not closed cleanly", error=str(error))
    # If the NATS server hangs, a clean close may never finish and the socket would stay open. So abort the
    # transport. nats-py offers no public way to do it.
    writer = getattr(client._transport, "_io_writer", None)
    if writer is not None:
        writer.transport.abort()


async def _check_stream(client: "Client", link: Connected) -> None:
    """Make sure that there is a stream, and find the subjects without one, if the user has the permission.

    Raises:
        OSError, nats.errors.Error: NATS has no JetStream, or no room for a stream.
    """
    import nats.errors  # noqa: PLC0415

    async def look() -> None:
        await _ensure_stream(link.jetstream)
        link.untaken = await _subjects_without_stream(link.jetstream, [kind.subject for kind in EventType])

    looking = asyncio.create_task(look())
    forbidden = asyncio.create_task(link.is_forbidden.wait())
    try:
        await asyncio.wait({looking, forbidden}, timeout=_CHECK_S, return_when=asyncio.FIRST_COMPLETED)
        if looking.done():
            looking.result()
            link.is_seen = len(link.untaken) < len(EventType)
            return
    except nats.errors.TimeoutError:
        log.debug("NATS did not answer whether it has a stream")
    finally:
        looking.cancel()
        forbidden.cancel()
        await asyncio.wait({looking, forbidden})
    if client.is_closed:
        raise nats.errors.ConnectionClosedError
    # A user without permission to look may still be allowed to publish. Publishing will show it.


async def _ensure_stream(jetstream: "JetStreamContext") -> None:
    """Create the stream if there is none. An existing stream belongs to the operator and is not changed."""
    from nats.js.api import StreamConfig  # noqa: PLC0415
    from nats.js.errors import BadRequestError, NotFoundError  # noqa: PLC0415

    try:
        await jetstream.stream_info(STREAM)
    except NotFoundError:
        config = StreamConfig(
            name=STREAM,
            subjects=[f"{SUBJECT_ROOT}.>"],
            max_age=_KEPT_S,
            duplicate_window=_REPEATS_S,
        )
        try:
            await jetstream.add_stream(config)
        except BadRequestError as error:
            if error.err_code != _OVERLAPS:
                raise
            log.info("events go to the operator's own stream", reason=error.description)


async def _subjects_without_stream(jetstream: "JetStreamContext", subjects: Sequence[str]) -> frozenset[str]:
    from nats.js.errors import NotFoundError  # noqa: PLC0415

    async def is_taken(subject: str) -> bool:
        try:
            await jetstream.find_stream_name_by_subject(subject)
        except NotFoundError:
            return False
        return True

    taken = await asyncio.gather(*map(is_taken, subjects))
    return frozenset(subject for subject, has_stream in zip(subjects, taken, strict=True) if not has_stream)
