"""Loops that must not end: one that fails is started again, because with it would go the whole server."""

from collections.abc import Awaitable, Callable

import structlog
import trio

log = structlog.get_logger("wr.tasks")

PAUSE_S = 1.0


async def keep_running(
    name: str,
    loop: Callable[[trio.TaskStatus[None]], Awaitable[None]],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run `loop`, and again a second after it failed, for ever; ready when it says so for the first time."""
    readiness = _Once(task_status)
    while True:
        try:
            await loop(readiness)
        except Exception:
            log.exception("a loop failed and is started again", loop=name)
        await trio.sleep(PAUSE_S)


class _Once(trio.TaskStatus[None]):
    """Passes on the first word that a task has started; a second start is nobody's business any more."""

    def __init__(self, task_status: trio.TaskStatus[None]) -> None:
        self._task_status = task_status
        self._has_started = False

    def started(self, value: None = None) -> None:
        """Say that the task has started."""
        if not self._has_started:
            self._has_started = True
            self._task_status.started(value)
