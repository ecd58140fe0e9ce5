"""Admission passes on demand, gathered: however many visitors ask for one, few are run."""

from collections.abc import Awaitable, Callable

import trio

from wr.model.refusals import Unavailable


class _Pass:
    """One pass over a queue, to come or under way, and those who wait for it."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.failed = True


class AdmissionOnDemand:
    """Runs passes over queues when asked to, one at a time for each queue.

    All who ask while a pass is under way share the next one, which begins when that one is done. A crowd that
    arrives at once so costs two passes, and not one for each visitor.
    """

    def __init__(self, run: Callable[[str], Awaitable[None]]) -> None:
        self._run = run
        self._under_way: dict[str, _Pass] = {}
        self._next: dict[str, _Pass] = {}

    async def after_now(self, queue_id: str) -> None:
        """Return once a pass is done that began after this call.

        The first caller runs the pass for all who wait for it, and goes on only when it is done, even if it
        is cancelled. That takes two calls of the store at most.

        Raises:
            Unavailable: the pass failed; whatever the failure was is raised where the pass was run.
        """
        coming = self._next.get(queue_id)
        if coming is None:
            coming = self._next[queue_id] = _Pass()
            with trio.CancelScope(shield=True):
                await self._lead(queue_id, coming)
            return
        await coming.done.wait()
        if coming.failed:
            raise Unavailable("The admission pass failed")

    async def _lead(self, queue_id: str, coming: _Pass) -> None:
        earlier = self._under_way.get(queue_id)
        if earlier is not None:
            await earlier.done.wait()
        del self._next[queue_id]
        self._under_way[queue_id] = coming
        try:
            await self._run(queue_id)
            coming.failed = False
        finally:
            del self._under_way[queue_id]
            coming.done.set()
