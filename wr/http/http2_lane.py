"""All open HTTP/2 connections, so that the server can end them in order when it stops."""

import structlog

from wr.api.dispatch import Api
from wr.http.client_errors import ClientErrorLog
from wr.http.connection_limits import ConnectionLimits
from wr.http.http2_connection import Http2Connection
from wr.http.transports import Transport
from wr.supervision.client_gone import ClientGone


class Http2Lane:
    """Serves HTTP/2 on connections that are already accepted."""

    def __init__(self, api: Api, limits: ConnectionLimits) -> None:
        self._api = api
        self._limits = limits
        self._open: set[Http2Connection] = set()
        self._is_ending = False
        self._client_errors = ClientErrorLog(structlog.get_logger("wr.http2"))

    async def serve(self, transport: Transport, received: bytes = b"") -> None:
        """Serve a connection until it ends. `received` are bytes that were already read from it."""
        connection = Http2Connection(self._api, self._limits, transport, self._client_errors)
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
        """Ask every client, with GOAWAY, to open no more requests here."""
        self._is_ending = True
        for connection in self._open:
            connection.say_farewell()

    def end_silent_connections(self) -> None:
        """Close every connection that has no request in progress, and the others once they have none."""
        for connection in self._open:
            connection.end_when_silent()
