"""What replicas share in secret: the signing keys and the admin key."""

from collections.abc import Sequence
from typing import Any

import msgspec

from wr.model.signing import SigningKey
from wr.store.connection import Connection
from wr.store.key_names import KeyNames


class SecretRepository:
    """Reads and writes secrets; all in the store, so that every replica signs and verifies alike."""

    def __init__(self, connection: Connection, keys: KeyNames) -> None:
        self._connection = connection
        self._signing = keys.shared("signing_keys")
        self._admin = keys.shared("admin_key")
        self._address = keys.shared("address_key")

    async def signing_keys(self) -> list[SigningKey]:
        """Read every signing key. One round trip."""
        values: Any = await self._connection.run(self._signing, lambda client: client.hvals(self._signing))
        return [msgspec.json.decode(value, type=SigningKey) for value in values]

    async def add_signing_key(self, key: SigningKey) -> None:
        """Add a key. One round trip."""
        text = msgspec.json.encode(key)
        await self._connection.run(self._signing, lambda client: client.hset(self._signing, key.kid, text))

    async def remove_signing_keys(self, kids: Sequence[str]) -> None:
        """Forget keys that no living token can name. One round trip."""
        if kids:
            await self._connection.run(self._signing, lambda client: client.hdel(self._signing, *kids))

    async def first_admin_key(self, generated: str) -> str:
        """Keep `generated` as the admin key unless one is kept already; return the one that is."""
        return (await self._first(self._admin, generated.encode())).decode()

    async def first_address_key(self, generated: bytes) -> bytes:
        """Keep `generated` as the key of address tags unless one is kept already; return the one that is."""
        return await self._first(self._address, generated)

    async def _first(self, key: str, generated: bytes) -> bytes:
        def keep(client: Any) -> bytes:
            kept: bytes | None = client.get(key)
            if kept is not None:
                # Nothing is written: a full store would refuse it, and no server could be started there.
                return kept
            client.set(key, generated, nx=True)
            made: bytes = client.get(key)
            return made

        return await self._connection.run(key, keep)
