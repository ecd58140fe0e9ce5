"""The general lane: Quart-Trio on Hypercorn for all of HTTP/1.1, and HTTP/2 where it is wanted."""

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

_LAST_WORDS_S = 10.0


class _App(QuartTrio):
    """The framework without its routing, which refuses, with a traceback, hosts that it cannot spell."""

    def create_url_adapter(self, _request: BaseRequestWebsocket | None) -> None:
        """Give no routes: `make_app` has all requests answered ahead of them."""


def make_app(api: Api, body_patience_s: float) -> QuartTrio:
    """Make the ASGI application: every request, whatever its method and path, goes to `api`."""
    app = _App("wr", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES

    async def answer() -> Response:
        try:
            with trio.fail_after(body_patience_s):
                body = bytes(await request.body)
        except RequestEntityTooLarge:
            reply = await _answer(api, request, request.method, None)
        except trio.TooSlowError:
            reply = _spelled(api.refuse(TooSlow("The rest of a body did not arrive in time")), request.method)
        else:
            return await _answer(api, request, request.method, body)
        if request.http_version.startswith("1"):
            # The rest of the body is not waited for, so the connection can bring no further request.
            reply.headers["Connection"] = "close"
        return reply

    # Ahead of routing and not as a rule of it: a rule takes known methods and well-formed paths only, and
    # whatever it does not take is answered in HTML.
    app.before_request(answer)
    return app


async def _answer(api: Api, asked: Request, method: str, body: bytes | None) -> Response:
    # From the scope: the framework's own object has a header more, Remote-Addr, which no client sent.
    read = read_request(asked.scope, method)
    read.body = body
    return _spelled(await api.handle(read), method)


def _spelled(response: HttpResponse, method: str) -> Response:
    reply = Response(b"" if method == "HEAD" or response.status == 304 else response.body, response.status)
    reply.headers.clear()
    reply.headers.extend(response.headers)
    reply.headers["Content-Length"] = str(len(response.body))
    return reply


def with_streams(api: Api, app: ASGIFramework, ping_s: float) -> ASGIFramework:
    """Take live streams and WebSockets from the application: they are ASGI here, without a framework."""

    complaints = ClientErrorLog(log)

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
                # The target `?a=b`: the framework takes for granted that a path has a first letter.
                rooted: HTTPScope = {**scope, "path": "/"}
                await app(rooted, receive, send)
            else:
                await app(scope, receive, send)
        except (h11.ProtocolError, wsproto.utilities.ProtocolError) as error:
            # The client broke the protocol while it was being answered: a line, and no traceback for each.
            complaints.warn("a connection was ended by its client's mistake", error=str(error))
            raise
        except Exception:
            # Hypercorn ends the connection and says nothing.
            log.exception("a connection was ended by an error")
            raise

    return split


def finish_what_is_said(app: ASGIFramework) -> ASGIFramework:
    """Shield the last message of each response.

    Quart-Trio cancels a request at the moment its response is complete, and that is when Hypercorn closes the
    connection or starts to count its idle time: cancelled there, it would do neither, and the connection
    would stay open for as long as the client likes.
    """

    async def shielded(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        async def send_all(message: ASGISendEvent) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                with trio.move_on_after(_LAST_WORDS_S, shield=True):
                    await send(message)
            else:
                await send(message)

        await app(scope, receive, send_all)

    return shielded


def make_config(api: Api, limits: ConnectionLimits) -> GeneralConfig:
    """Set up what Hypercorn decides about a connection."""
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
    """Make the lane that serves every route of the API.

    `takes_prior_knowledge` has a connection that begins with the preface of HTTP/2 become one of HTTP/2.
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
