"""The common base of the ASGI and the WSGI gate."""

from typing import Generic, TypeVar

from wr.gate.commands import Commands
from wr.gate.decision import Passes
from wr.gate.response_commands import Answers

App = TypeVar("App")


class Middleware(Generic[App]):
    """An application behind a gate.

    Raises:
        ValueError: without `passes`, `server` is no URL, `queue` is empty, or `open_paths` is wrong.
    """

    def __init__(
        self,
        app: App,
        *,
        server: str = "",
        queue: str = "",
        open_paths: str = "",
        passes: Passes | None = None,
        commands: Commands | None = None,
    ) -> None:
        self._app = app
        self._passes = passes or Passes(server, queue, open_paths=open_paths)
        self._answers = None if commands is None else Answers(self._passes, commands)
