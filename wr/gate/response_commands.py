"""Executes the site's commands about a session, before its response goes to the visitor."""

import logging

from wr.gate.commands import Command, Commands
from wr.gate.decision import Passes, Session

log = logging.getLogger("wr.gate")


class Answers:
    """Executes the site's commands. Safe to use from several threads."""

    def __init__(self, passes: Passes, commands: Commands) -> None:
        self._passes = passes
        self._commands = commands

    def obey(self, session: Session, command: Command, *, is_https: bool) -> list[str]:
        """Execute a command. Returns the `Set-Cookie` values to add to the response.

        `extend` waits a few seconds at most for the waiting room, because the visitor needs a token with the
        new end. If none comes, the old token stays valid. The other commands end the session in this process
        at once, and delete the cookie for the site's other processes. If the waiting room cannot be reached,
        the session is accepted again: it still exists there, and the waiting room would redirect the visitor
        back to the site for ever.
        """
        if not command.extends:
            self._passes.end(session)
            self._commands.tell(session.session_id, command, if_not=lambda: self._passes.restore(session))
            return [self._passes.no_cookie(is_https=is_https)]
        token = self._commands.extend(session.session_id, command)
        if token is None:
            return []
        renewed = self._passes.read(token)
        if renewed is None or renewed.session_id != session.session_id:
            log.error("the waiting room's new token does not belong to the extended session")
            return []
        return [self._passes.cookie(token, is_https=is_https)]
