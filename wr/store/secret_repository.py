"""Secrets that all servers share through the store: signing keys, the admin key, the key of address tags."""

from collections.abc import Sequence
from typing import cast

import msgspec
import redis

from wr.model.signing import SigningKey
from wr.store.connection import Connection
from wr.store.key_names import KeyNames


class SecretRepository:
    """Reads and writes secrets. They are in the store, so that every server signs and verifies alike."""

    def __init__(self, connection: Connection, keys: KeyNames) -> None:
        self._connection = connection
        self._signing = keys.shared("signing_keys")
        self._admin = keys.shared("admin_key")
        self._address = keys.shared("address_key")

    async def signing_keys(self) -> list[SigningKey]:
        """Read every signing key. One round trip."""

        def read(client: redis.Redis) -> list[bytes]:
            return cast("list[bytes]", client.hvals(self._signing))

        values = await self._connection.run(self._signing, read)
        return [msgspec.json.decode(value, type=SigningKey) for value in values]

    async def add_signing_key(self, key: SigningKey) -> None:
        """Add a key. One round trip."""
        text = msgspec.json.encode(key)
        await self._connection.run(self._signing, lambda client: client.hset(self._signing, key.kid, text))

    async def remove_signing_keys(self, kids: Sequence[str]) -> None:
        """Delete keys that no valid token can name. One round trip."""
        if kids:
            await self._connection.run(self._signing, lambda client: client.hdel(self._signing, *kids))

    async def first_admin_key(self, generated: str) -> str:
        """Write `generated` as the admin key unless there is one already; returns the one that holds."""
        return (await self._first(self._admin, generated.encode())).decode()

    async def first_address_key(self, generated: bytes) -> bytes:
        """Write `generated` as the key of address tags unless there is one; returns the one that holds."""
        return await self._first(self._address, generated)

    async def _first(self, key: str, generated: bytes) -> bytes:
        def keep(client: redis.Redis) -> bytes:
            kept = cast("bytes | None", client.get(key))
            if kept is not None:
                # Nothing is written: a full store would refuse it, and then no server could start there.
                return kept
            client.set(key, generated, nx=True)
            return cast("bytes", client.get(key))

        return await self._connection.run(key, keep)
