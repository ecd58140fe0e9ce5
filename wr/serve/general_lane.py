"""The general lane: Quart-Trio on Hypercorn, which speaks every dialect of HTTP and serves every route."""

import socket
from collections.abc import Awaitable, Callable

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import RequestEntityTooLarge

from wr.api.calls import HttpRequest
from wr.api.dispatch import MAX_BODY_BYTES, Api

KEEP_ALIVE_S = 75.0
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


def make_app(api: Api) -> QuartTrio:
    """Make the ASGI application: every request, whatever its path, goes to `api`."""
    app = QuartTrio("wr", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False

    async def answer(**_parameters: str) -> Response:
        try:
            body: bytes | None = bytes(await request.body)
        except RequestEntityTooLarge:
            body = None
        response = await api.handle(
            HttpRequest(
                method=request.method,
                path=request.scope["path"],
                headers={name.lower(): value for name, value in request.headers.items()},
                body=body,
                peer=request.remote_addr or "",
            )
        )
        content = b"" if request.method == "HEAD" else response.body
        reply = Response(content, response.status)
        reply.headers.clear()
        reply.headers.extend(response.headers)
        reply.headers["Content-Length"] = str(len(response.body))
        return reply

    app.add_url_rule("/", "root", answer, methods=_METHODS, provide_automatic_options=False)
    app.add_url_rule("/<path:path>", "any", answer, methods=_METHODS, provide_automatic_options=False)
    return app


def make_config(listener: socket.socket, grace_s: float) -> Config:
    """Set up Hypercorn for a bound socket, with `grace_s` seconds for what is under way at shutdown."""
    config = Config()
    # Hypercorn makes a socket object of its own, so it gets a descriptor of its own.
    config.bind = [f"fd://{listener.dup().detach()}"]
    config.graceful_timeout = grace_s
    config.keep_alive_timeout = KEEP_ALIVE_S
    config.keep_alive_max_requests = 1_000_000
    config.include_server_header = False
    config.backlog = 4096
    config.errorlog = None
    config.accesslog = None
    return config


async def serve_general_lane(
    api: Api,
    listener: socket.socket,
    *,
    grace_s: float,
    until: Callable[[], Awaitable[None]],
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve on a bound socket until `until` returns, then finish what is under way; says when it listens."""
    with listener:
        await _serve(api, listener, grace_s, until, task_status)


async def _serve(
    api: Api,
    listener: socket.socket,
    grace_s: float,
    until: Callable[[], Awaitable[None]],
    task_status: trio.TaskStatus[list[str]],
) -> None:
    await serve(
        make_app(api),
        make_config(listener, grace_s),
        shutdown_trigger=until,
        task_status=task_status,
        mode="asgi",
    )
