"""One connection to a NATS server: opened within a time, looked at, and closed for good."""

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
"""How long a stream that is made here keeps events: one without a bound would fill the disk."""
_REPEATS_S = 120
"""For how long the server knows an event again that it has stored."""
ACKNOWLEDGE_S = 5.0
_CONNECT_S = 5.0
_LOOK_S = 5.0
_PING_S = 5.0
_CLOSE_S = 1.0
_OVERLAPS = 10065
"""JetStream's code for a stream whose subjects another has already."""
_FORBIDDEN = re.compile(r'permissions violation for publish to "([^"]+)"', re.IGNORECASE)
_MOST_FORBIDDEN = 100


class Connected:
    """A connection that can be published on, and what is known of the server."""

    def __init__(self) -> None:
        self.is_closed = asyncio.Event()
        self.forbidden: set[str] = set()
        """Subjects that the server has refused this user to publish on."""
        self.is_forbidden = asyncio.Event()
        """Set when there is one."""
        self.untaken: frozenset[str] = frozenset()
        """Subjects of events that no stream takes, as far as could be seen."""
        self.is_seen = False
        """Whether the server was seen to have a stream for events."""
        self.jetstream: JetStreamContext

    async def closed(self) -> None:
        """Take in that the connection is gone."""
        self.is_closed.set()

    async def noted(self, error: Exception) -> None:
        """Take in what the server says besides."""
        log.debug("NATS reports", error=str(error))
        found = _FORBIDDEN.search(str(error))
        if found and len(self.forbidden) < _MOST_FORBIDDEN:
            self.forbidden.add(found[1])
            self.is_forbidden.set()


@asynccontextmanager
async def connected(url: str, name: str) -> AsyncIterator[Connected]:
    """Connect to the first server of those in `url` that lets us in, once each.

    Coming back is the caller's work: the client would keep what it could not send, and send it again beside
    what is published again.

    Raises:
        OSError, TimeoutError, nats.errors.Error: none of them does; why the last one does not.
    """
    # 30 ms and 8 MB that a server without NATS need not spend.
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
            await _look(client, link)
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
                # 0 would be for ever, and the client waits two seconds in between unless it is told not to.
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
                # As the client does with a URL in which there is one word only.
                token=user or None if password is None else None,
            ),
            _CONNECT_S,
        )
    except nats.errors.NoServersError as error:
        # It says no more than that: what came before it is the reason.
        if isinstance(last, OSError | TimeoutError | nats.errors.Error):
            raise last from None
        raise error from last


def _login(server: str) -> tuple[str, str, str | None]:
    """Take apart a URL: without who logs in, and who, as they are once percent-encoding is undone."""
    parts = urlsplit(server)
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    password = None if parts.password is None else unquote(parts.password)
    return address, unquote(parts.username or ""), password


async def _close(client: "Client") -> None:
    import nats.errors  # noqa: PLC0415

    try:
        await asyncio.wait_for(client.close(), _CLOSE_S)
    except (TimeoutError, OSError, nats.errors.Error) as error:
        log.debug("the connection to NATS did not close well", error=str(error))
    # To close it well may take for ever where a server hangs, and each connection would keep its socket then.
    # The client has no other way to it.
    writer = getattr(client._transport, "_io_writer", None)
    if writer is not None:
        writer.transport.abort()


async def _look(client: "Client", link: Connected) -> None:
    """See that there is a stream, and which subjects have none; for a user who may look.

    Raises:
        OSError, nats.errors.Error: the server has no JetStream, or no room for a stream.
    """
    import nats.errors  # noqa: PLC0415

    async def look() -> None:
        await _ensure_stream(link.jetstream)
        link.untaken = await _untaken(link.jetstream, [kind.subject for kind in EventType])

    looking = asyncio.create_task(look())
    forbidden = asyncio.create_task(link.is_forbidden.wait())
    try:
        await asyncio.wait({looking, forbidden}, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
        if looking.done():
            looking.result()
            link.is_seen = len(link.untaken) < len(EventType)
            return
    except nats.errors.TimeoutError:
        log.debug("NATS does not say whether it has a stream")
    finally:
        looking.cancel()
        forbidden.cancel()
        await asyncio.wait({looking, forbidden})
    if client.is_closed:
        raise nats.errors.ConnectionClosedError
    # Publishing shows it: that alone may well be allowed.


async def _ensure_stream(jetstream: "JetStreamContext") -> None:
    """Make the stream if there is none; one that is there is the operator's, and is left as it is."""
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


async def _untaken(jetstream: "JetStreamContext", subjects: Sequence[str]) -> frozenset[str]:
    from nats.js.errors import NotFoundError  # noqa: PLC0415

    async def is_taken(subject: str) -> bool:
        try:
            await jetstream.find_stream_name_by_subject(subject)
        except NotFoundError:
            return False
        return True

    taken = await asyncio.gather(*map(is_taken, subjects))
    return frozenset(subject for subject, is_one in zip(subjects, taken, strict=True) if not is_one)
