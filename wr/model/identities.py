"""Identities as the store knows them: digests of who a visitor is, or claims to be, and of where a visitor
comes from."""

from hashlib import blake2b

import msgspec

from wr.model.queue import UniqueBy

NO_ADDRESS = bytes(4)
"""The tag of a place that counts for no address."""
Scalar = str | int | float | bool


def subject_digest(subject: Scalar) -> bytes:
    """Digest whom the site means: the `sub` of a pass, or the user id of the site's own call. 16 bytes."""
    return _digest("subject", _text(subject))


def client_digest(user_id: Scalar, address: str, user_agent: str) -> bytes:
    """Digest a client that proves nothing: a user id, an address and a browser. 16 bytes."""
    return _digest(UniqueBy.CLIENT, user_id, address, user_agent)


def address_digest(limited: str) -> bytes:
    """Digest an address, as `limited_address` names it, that may hold one place. 16 bytes."""
    return _digest(UniqueBy.IP, limited)


def pass_digest(pass_id: str) -> bytes:
    """Digest the id of a pass. 16 bytes."""
    return _digest("pass", pass_id)


def address_tag(queue_id: str, limited: str, key: bytes) -> bytes:
    """Digest an address, as `limited_address` names it, to the 4 bytes that the ids of its places in a queue
    carry; never those of no address. About 1 µs.

    With the key, which only servers of this room have: ids are seen by others, and are to tell no address. Of
    two addresses one in four thousand million has the same tag as the other.
    """
    tag = blake2b(f"{queue_id}/{limited}".encode(), digest_size=4, key=key).digest()
    return tag if tag != NO_ADDRESS else b"\1" + NO_ADDRESS[1:]


def _text(value: Scalar) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _digest(*facts: object) -> bytes:
    return blake2b(msgspec.json.encode([str(facts[0]), *facts[1:]]), digest_size=16).digest()
