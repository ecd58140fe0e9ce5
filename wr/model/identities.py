"""Digests that stand for visitors, clients, addresses and passes in the store, instead of the plain data."""

from hashlib import blake2b

import msgspec

from wr.model.queue_settings import UniqueBy

NO_ADDRESS = bytes(4)
"""The tag of a place that does not count for an address."""
Scalar = str | int | float | bool


def subject_digest(subject: Scalar) -> bytes:
    """Digest a visitor that the site names: `sub` of a pass, or user id in the site's own call. 16 bytes."""
    return _digest("subject", _text(subject))


def client_digest(user_id: Scalar, address: str, user_agent: str) -> bytes:
    """Digest a client without proof of identity: user id, address and browser. 16 bytes."""
    return _digest(UniqueBy.CLIENT, user_id, address, user_agent)


def address_digest(limited: str) -> bytes:
    """Digest an address, as `limited_address` returns it, that may hold one place. 16 bytes."""
    return _digest(UniqueBy.IP, limited)


def pass_digest(pass_id: str) -> bytes:
    """Digest the id of a pass. 16 bytes."""
    return _digest("pass", pass_id)


def address_tag(queue_id: str, limited: str, key: bytes) -> bytes:
    """Digest an address, as `limited_address` returns it, to the 4 bytes in the ids of its places in a queue.

    Never returns `NO_ADDRESS`. About 1 µs. Uses a key that only servers of this room have, because others see
    ids and must not learn addresses from them. Two addresses have the same tag with a chance of 1 in 4
    thousand million.
    """
    tag = blake2b(f"{queue_id}/{limited}".encode(), digest_size=4, key=key).digest()
    return tag if tag != NO_ADDRESS else b"\1" + NO_ADDRESS[1:]


def _text(value: Scalar) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _digest(*facts: object) -> bytes:
    return blake2b(msgspec.json.encode([str(facts[0]), *facts[1:]]), digest_size=16).digest()
