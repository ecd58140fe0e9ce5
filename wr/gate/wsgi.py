"""The gate as WSGI middleware (PEP 3333)."""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from wr.gate.commands import COMMAND, Commands
from wr.gate.passes import Passes

Environment = dict[str, Any]
App = Callable[[Environment, Any], Iterable[bytes]]


class WsgiGate:
    """Lets requests through to `app` that bring a session; sends others to the waiting page.

    The session is in `environ["wr.session"]`. With `commands`, `X-WR-Command` of an answer is told to the
    waiting room and taken from the answer.
    """

    def __init__(
        self,
        app: App,
        *,
        server: str = "",
        queue: str = "",
        passes: Passes | None = None,
        commands: Commands | None = None,
    ) -> None:
        self._app = app
        self._passes = passes or Passes(server, queue)
        self._commands = commands

    def __call__(self, environ: Environment, start_response: Any) -> Iterable[bytes]:
        """Serve one request."""
        decision = self._passes.decide(
            method=environ["REQUEST_METHOD"],
            path=quote(
                (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1"),
                safe="/:@!$&'()*+,;=~-._",
            ),
            query=environ.get("QUERY_STRING", ""),
            cookie=environ.get("HTTP_COOKIE", ""),
            authorization=environ.get("HTTP_AUTHORIZATION", ""),
            is_https=environ.get("wsgi.url_scheme") == "https",
        )
        session = decision.session
        if session is None:
            headers = [
                ("Location", decision.location),
                ("Cache-Control", "no-store"),
                ("Content-Length", "0"),
            ]
            if decision.cookie:
                headers.append(("Set-Cookie", decision.cookie))
            start_response("303 See Other", headers)
            return [b""]
        environ["wr.session"] = session
        if self._commands is None:
            return self._app(environ, start_response)
        commands = self._commands

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            for name, value in headers:
                if name.lower() == COMMAND:
                    commands.tell(session.session_id, value)
            kept = [(name, value) for name, value in headers if name.lower() != COMMAND]
            return start_response(status, kept, *more)

        return self._app(environ, start)
