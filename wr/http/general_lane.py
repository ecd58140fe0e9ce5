"""The general lane: serves all of HTTP/1.1 with Quart-Trio on Hypercorn, and HTTP/2 if it is enabled."""

from typing import cast

import h11
import structlog
import trio
import wsproto.utilities
from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGISendCallable,
    ASGISendEvent,
    HTTPScope,
    Scope,
)
from quart import Request, Response, request
from quart.wrappers import BaseRequestWebsocket
from quart_trio import QuartTrio
from werkzeug.exceptions import RequestEntityTooLarge

from wr.api.dispatch import Api
from wr.api.http_messages import HttpResponse
from wr.api.request_guard import MAX_BODY_BYTES
from wr.http.client_errors import ClientErrorLog
from wr.http.connection_limits import ConnectionLimits
from wr.http.general_connections import GeneralLane
from wr.http.general_streams import SendToWebSocket, read_request, serve_events, serve_websocket
from wr.http.http2_lane import Http2Lane
from wr.http.hypercorn_websocket import teach_hypercorn
from wr.http.strict_http1 import GeneralConfig
from wr.http.websocket_rules import LONGEST_MESSAGE_BYTES
from wr.model.refusals import TooSlow

log = structlog.get_logger("wr.general_lane")

_LAST_SEND_S = 10.0


class _App(QuartTrio):
    """Quart without its routing, which fails with a traceback on `Host` headers that it cannot encode."""

    def create_url_adapter(self, _request: BaseRequestWebsocket | None) -> None:
        """Return no routes: `make_app` answers every request before Quart would route it."""


def make_app(api: Api, body_patience_s: float) -> QuartTrio:
    """Return the ASGI application. It passes every request, of any method and path, to `api`."""
    app = _App("wr", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES

    async def answer() -> Response:
        try:
            with trio.fail_after(body_patience_s):
                body = bytes(await request.body)
        except RequestEntityTooLarge:
            reply = await _answer(api, request, request.method, None)
        except trio.TooSlowError:
            refusal = TooSlow("The rest of a body did not arrive in time")
            reply = _quart_response(api.refuse(refusal), request.method)
        else:
            return await _answer(api, request, request.method, body)
        if request.http_version.startswith("1"):
            # The rest of the body is not read, so the connection cannot carry another request.
            reply.headers["Connection"] = "close"
        return reply

    # Not as a route: routes match only known methods and well-formed paths, and Quart answers all others in
    # HTML.
    app.before_request(answer)
    return app


async def _answer(api: Api, quart_request: Request, method: str, body: bytes | None) -> Response:
    # From the scope, because Quart's request object adds a header that the client did not send: Remote-Addr.
    api_request = read_request(quart_request.scope, method)
    api_request.body = body
    return _quart_response(await api.handle(api_request), method)


def _quart_response(response: HttpResponse, method: str) -> Response:
    reply = Response(b"" if method == "HEAD" or response.status == 304 else response.body, response.status)
    reply.headers.clear()
    reply.headers.extend(response.headers)
    reply.headers["Content-Length"] = str(len(response.body))
    return reply


def with_streams(api: Api, app: ASGIFramework, ping_s: float) -> ASGIFramework:
    """Serve live streams and WebSockets directly in ASGI, and all other requests with `app`.

    Without Quart, a stream needs less memory.
    """

    client_errors = ClientErrorLog(log)

    async def split(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        try:
            if scope["type"] == "websocket":
                # It is the one of `LastingWebSocket`, which sends pings too.
                tell = cast(SendToWebSocket, send)
                await serve_websocket(api, scope, receive, tell, ping_s=ping_s)
            elif scope["type"] != "http":
                await app(scope, receive, send)
            elif api.has_feed(scope["method"], scope["path"]):
                await serve_events(api, scope, receive, send)
            elif not scope["path"]:
                # The target was `?a=b`. Quart fails on an empty path.
                rooted: HTTPScope = {**scope, "path": "/"}
                await app(rooted, receive, send)
            else:
                await app(scope, receive, send)
        except (h11.ProtocolError, wsproto.utilities.ProtocolError) as error:
            # The client broke the protocol during the response. That deserves a line, not a traceback.
            client_errors.warn("a client broke the protocol, its connection is closed", error=str(error))
            raise
        except Exception:
            # Logged here, because Hypercorn ends the connection without a log line.
            log.exception("an error ended a connection")
            raise

    return split


def finish_what_is_said(app: ASGIFramework) -> ASGIFramework:
    """Shield the last message of each response from cancellation.

    Quart-Trio cancels a request as soon as its response is complete. At that point Hypercorn closes the
    connection or starts its idle timeout. If it were cancelled there, it would do neither, and the client
    could keep the connection open for ever.
    """

    async def shielded(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        async def send_all(message: ASGISendEvent) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                with trio.move_on_after(_LAST_SEND_S, shield=True):
                    await send(message)
            else:
                await send(message)

        await app(scope, receive, send_all)

    return shielded


def make_config(api: Api, limits: ConnectionLimits) -> GeneralConfig:
    """Return the configuration of Hypercorn."""
    config = GeneralConfig()
    config.api = api
    config.head_patience_s = limits.head_patience_s
    config.keep_alive_timeout = limits.idle_patience_s
    config.keep_alive_max_requests = limits.most_requests
    config.include_server_header = False
    config.websocket_max_message_size = LONGEST_MESSAGE_BYTES
    config.errorlog = None
    config.accesslog = None
    return config


def make_general_lane(
    api: Api, limits: ConnectionLimits, ping_s: float, *, takes_prior_knowledge: bool
) -> GeneralLane:
    """Return the general lane, which serves every route of the API.

    With `takes_prior_knowledge`, a connection that begins with the HTTP/2 preface is served as HTTP/2.
    """
    teach_hypercorn()
    app = with_streams(api, make_app(api, limits.body_patience_s), ping_s)
    return GeneralLane(
        finish_what_is_said(app),
        make_config(api, limits),
        Http2Lane(api, limits),
        takes_prior_knowledge=takes_prior_knowledge,
        send_patience_s=limits.send_patience_s,
    )
