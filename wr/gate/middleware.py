"""What the gates for both kinds of Python sites, ASGI and WSGI, are made of."""

from typing import Generic, TypeVar

from wr.gate.commands import Commands
from wr.gate.decision import Passes
from wr.gate.response_commands import Answers

App = TypeVar("App")


class Middleware(Generic[App]):
    """An application behind a gate, and the rules by which it opens.

    Raises:
        ValueError: neither `passes`, nor the address of a waiting room and a queue.
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
