"""What an answer of the site says of its session: carried out before the answer goes on its way."""

import logging

from wr.gate.commands import Command, Commands
from wr.gate.decision import Passes, Session

log = logging.getLogger("wr.gate")


class Answers:
    """Carries out the site's commands. Safe to share among threads."""

    def __init__(self, passes: Passes, commands: Commands) -> None:
        self._passes = passes
        self._commands = commands

    def obey(self, session: Session, command: Command, *, is_https: bool) -> list[str]:
        """Carry out a command and give what the answer sets: values of `Set-Cookie`.

        `extend` waits for the waiting room, for a few seconds at most, because the visitor needs a token with
        the new end; without one the old token stays. Whoever is ended is out at once, and the cookie is taken
        away, for this may be one of several processes of the site. When the waiting room was not told, the
        session is still its own and counts again: else it would send the visitor back here for ever.
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
            log.error("the waiting room's new token is not one of the session that was given more time")
            return []
        return [self._passes.cookie(token, is_https=is_https)]
