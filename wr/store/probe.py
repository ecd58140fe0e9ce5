"""Small commands that tell how the store is: whether it answers, takes writes, and has memory left."""

from wr.model.refusals import Unavailable
from wr.store.connection import Connection
from wr.store.key_names import KeyNames
from wr.store.memory_usage import StoreMemory, read_memory

_KEPT_S = 60


class StoreProbe:
    """Asks the store how it is. Each method is one round trip, and raises `Unavailable` if it is away."""

    def __init__(self, connection: Connection, keys: KeyNames, memory: StoreMemory) -> None:
        self._connection = connection
        self._key = keys.shared("health")
        self._memory = memory

    @property
    def is_short(self) -> bool:
        """Whether the store has no memory for new places, as far as the server knows."""
        return self._memory.is_short

    async def ping(self) -> None:
        """Have the store answer. Of several machines, one must answer."""
        await self._connection.ping()

    async def prove_write(self) -> None:
        """Have the store write a small value."""
        try:
            await self._connection.run(self._key, lambda client: client.set(self._key, 1, ex=_KEPT_S))
        except Unavailable:
            if not self._connection.is_sharded:
                raise
            # Queues on other machines are served, so one machine that answers is enough.
            await self._connection.ping()

    async def read_memory(self) -> None:
        """Read how much memory the store uses, and how much it may use."""
        told = await self._connection.run(self._key, lambda client: read_memory(client.info))
        self._memory.take(*(told or (None, None)))
