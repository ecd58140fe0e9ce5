"""Admission passes on demand: many visitors that ask for one share it."""

from collections.abc import Awaitable, Callable

import trio

from wr.model.refusals import Unavailable


class _Pass:
    """One pass over a queue, planned or under way, and the event that its callers wait for."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.failed = True


class AdmissionOnDemand:
    """Runs passes over queues on demand, one at a time for each queue.

    All callers that come while a pass is under way share the next one, which begins when that one is done. So
    a crowd that arrives at once costs two passes, not one for each visitor.
    """

    def __init__(self, run: Callable[[str], Awaitable[None]]) -> None:
        self._run = run
        self._under_way: dict[str, _Pass] = {}
        self._next: dict[str, _Pass] = {}

    async def after_now(self, queue_id: str) -> None:
        """Return when a pass is done that began after this call.

        The first caller runs the pass for all that wait for it, and waits for its end even if it is
        cancelled. That takes two calls of the store at most.

        Raises:
            Unavailable: the pass failed. The failure itself is raised in the caller that ran the pass.
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
