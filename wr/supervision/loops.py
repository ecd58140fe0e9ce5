"""Restarts background loops that fail, because otherwise their error would end the whole server."""

from collections.abc import Awaitable, Callable

import structlog
import trio

log = structlog.get_logger("wr.supervision")

PAUSE_S = 1.0


async def keep_running(
    name: str,
    loop: Callable[[trio.TaskStatus[None]], Awaitable[None]],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run `loop` for ever. If it fails or ends, it starts again after a second.

    Signals `task_status` when the loop reports that it has started for the first time.
    """
    readiness = _Once(task_status)
    while True:
        try:
            await loop(readiness)
        except Exception:
            log.exception("a loop failed and is started again", loop=name)
        await trio.sleep(PAUSE_S)


class _Once(trio.TaskStatus[None]):
    """Passes on only the first `started()`, because Trio does not allow a second."""

    def __init__(self, task_status: trio.TaskStatus[None]) -> None:
        self._task_status = task_status
        self._has_started = False

    def started(self, value: None = None) -> None:
        """Report that the task has started. Does nothing after the first call."""
        if not self._has_started:
            self._has_started = True
            self._task_status.started(value)
