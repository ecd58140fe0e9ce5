"""What the site says of a session in `X-WR-Command`, told to the waiting room."""

import json
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote
from urllib.request import Request, urlopen

log = logging.getLogger("wr.gate")

COMMAND = "x-wr-command"
_SPELLED = re.compile(r"(end|revoke|extend)(?:=([1-9][0-9]{0,5}))?")
_PATIENCE_S = 5.0


class Commands:
    """Tells the waiting room in the background; a request never waits for it."""

    def __init__(self, server: str, origin_key: str) -> None:
        self._server = server.rstrip("/")
        self._origin_key = origin_key
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="wr-gate")

    def tell(self, session_id: str, spelled: str) -> None:
        """Tell what was said: `end`, `revoke`, `extend=SECONDS`. What goes wrong is logged."""
        match = _SPELLED.fullmatch(spelled.strip())
        if match is None:
            log.error("X-WR-Command must be end, revoke or extend=SECONDS")
            return
        wish: dict[str, object] = {"command": match[1]}
        if match[2]:
            wish["seconds"] = int(match[2])
        self._threads.submit(self._tell, session_id, wish)

    def close(self) -> None:
        """Wait until everything is told."""
        self._threads.shutdown()

    def _tell(self, session_id: str, wish: dict[str, object]) -> None:
        request = Request(  # noqa: S310 - the address is the site's own setting
            f"{self._server}/api/v1/sessions/{quote(session_id)}/commands",
            data=json.dumps(wish).encode(),
            headers={"Content-Type": "application/json", "X-WR-Origin-Key": self._origin_key},
            method="POST",
        )
        try:
            urlopen(request, timeout=_PATIENCE_S).close()  # noqa: S310 - as above
        except OSError as error:
            log.error("the waiting room was not told %s: %s", wish["command"], error)  # noqa: TRY400 - it says why
