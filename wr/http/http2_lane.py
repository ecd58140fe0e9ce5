"""Connections of HTTP/2, all that are open: told when the server ends."""

import structlog

from wr.api.dispatch import Api
from wr.http.client_errors import ClientErrorLog
from wr.http.connection_limits import ConnectionLimits
from wr.http.http2_connection import Http2Connection
from wr.http.transports import Transport
from wr.supervision.client_gone import ClientGone


class Http2Lane:
    """Serves HTTP/2 on connections that somebody else accepted."""

    def __init__(self, api: Api, limits: ConnectionLimits) -> None:
        self._api = api
        self._limits = limits
        self._open: set[Http2Connection] = set()
        self._is_ending = False
        self._complaints = ClientErrorLog(structlog.get_logger("wr.http2"))

    async def serve(self, transport: Transport, received: bytes = b"") -> None:
        """Serve a connection until it ends; `received` was read from it already."""
        connection = Http2Connection(self._api, self._limits, transport, self._complaints)
        self._open.add(connection)
        if self._is_ending:
            connection.say_farewell()
        try:
            await connection.run(received)
        except* ClientGone:
            pass
        finally:
            self._open.discard(connection)
            transport.close()

    def say_farewell(self) -> None:
        """Have every client send further requests elsewhere."""
        self._is_ending = True
        for connection in self._open:
            connection.say_farewell()

    def end_silent_connections(self) -> None:
        """End those on which no request is on its way, and each other one when it has none any more."""
        for connection in self._open:
            connection.end_when_silent()
