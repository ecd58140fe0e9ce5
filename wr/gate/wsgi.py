"""The gate as WSGI middleware (PEP 3333), for sites with Flask, Django or Bottle."""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from wr.gate.commands import COMMAND, settle
from wr.gate.decision import Decision, GateRequest, Session, is_the_gates_own
from wr.gate.middleware import Middleware

Environment = dict[str, Any]
App = Callable[[Environment, Any], Iterable[bytes]]


class WsgiGate(Middleware[App]):
    """Passes requests with a session to `app`, and redirects others to the waiting page.

    `app` finds the session in `environ["wr.session"]` and in the headers `X-WR-Session` and `X-WR-Queue`, as
    behind the gate in a proxy. On one of `open_paths` a session is not required: then it may be None, without
    `X-WR-Session`. With `commands`, the header `X-WR-Command` of a response is executed and removed. Raises
    the same errors as `Middleware`.
    """

    def __call__(self, environ: Environment, start_response: Any) -> Iterable[bytes]:
        """Serve one request."""
        request = _read_request(environ)
        decision = self._passes.decide(request)
        if decision.location:
            return _redirect(decision, start_response)
        session = decision.session
        self._set_session(environ, session)
        answers = self._answers
        if answers is None:
            return self._app(environ, start_response)

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            kept = [header for header in headers if header[0].lower() != COMMAND]
            command = settle(value for name, value in headers if name.lower() == COMMAND)
            if command is not None and session is not None:
                cookies = answers.obey(session, command, is_https=request.is_https)
                kept += [("Set-Cookie", cookie) for cookie in cookies]
            return start_response(status, kept, *more)

        return self._app(environ, start)

    def _set_session(self, environ: Environment, session: Session | None) -> None:
        environ["wr.session"] = session
        for name in [key for key in environ if is_the_gates_own(key.removeprefix("HTTP_"))]:
            del environ[name]
        for name, value in self._passes.named(session):
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value


def _redirect(decision: Decision, start_response: Any) -> Iterable[bytes]:
    headers = [("Location", decision.location), ("Cache-Control", "no-store"), ("Content-Length", "0")]
    if decision.cookie:
        headers.append(("Set-Cookie", decision.cookie))
    start_response("303 See Other", headers)
    return [b""]


def _read_request(environ: Environment) -> GateRequest:
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return GateRequest(
        method=environ["REQUEST_METHOD"],
        path=quote(path.encode("latin-1"), safe="/:@!$&'()*+,;=~-._"),
        query=environ.get("QUERY_STRING", ""),
        cookie=environ.get("HTTP_COOKIE", ""),
        authorization=environ.get("HTTP_AUTHORIZATION", ""),
        is_https=environ.get("wsgi.url_scheme") == "https",
    )
