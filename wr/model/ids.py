"""Identifiers of queues, positions and sessions.

A position id is 16 random bytes in the store and a version-4 UUID in the API. A session has the same bytes
with version digit 8 instead of 4. So each can be computed from the other without a stored mapping, and an
operator sees at once which visit a session belongs to.
"""

import re
from collections.abc import Callable

QUEUE_ID_PATTERN = "^[A-Za-z0-9._-]{1,64}$"
_QUEUE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CANONICAL_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")


def is_queue_id(text: str) -> bool:
    """Whether `text` is a valid queue id: 1 to 64 characters of A-Z a-z 0-9 . _ -."""
    return _QUEUE_ID.fullmatch(text) is not None


def new_position_id(random_bytes: Callable[[int], bytes], address_tag: bytes = b"") -> bytes:
    """Generate a position id: 16 bytes, a version-4 UUID with 122 random bits from `random_bytes`.

    A tag of 4 bytes replaces the last four bytes, which leaves 90 random bits. The store can then count an
    address's places without keeping the address.
    """
    raw = bytearray(random_bytes(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    if address_tag:
        raw[12:] = address_tag
    return bytes(raw)


def id_text(raw: bytes) -> str:
    """Spell 16 bytes as a UUID: `550e8400-e29b-41d4-a716-446655440000`."""
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def session_id_bytes(position_id: bytes) -> bytes:
    """Turn the 16 bytes of a position id into those of its session id."""
    return position_id[:6] + bytes([position_id[6] & 0x0F | 0x80]) + position_id[7:]


def session_id_text(position_id: bytes) -> str:
    """Return the session id, as text, for the 16 bytes of a position id."""
    return id_text(session_id_bytes(position_id))


def parse_position_id(text: str) -> bytes | None:
    """Read a position id; None if it is not a canonical version-4 UUID."""
    return _parse(text, version=4)


def signed_position_id(text: str) -> bytes | None:
    """Read a position id out of a token that is signed here; None if it is none.

    Takes half as long as `parse_position_id`, because the spelling is that of `id_text`.
    """
    try:
        raw = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        return None
    return raw if len(raw) == 16 and raw[6] >> 4 == 4 and raw[8] >> 6 == 0b10 else None


def parse_session_id(text: str) -> bytes | None:
    """Read a session id; returns the 16 bytes of its position id, or None if it is not a session id."""
    raw = _parse(text, version=8)
    return None if raw is None else raw[:6] + bytes([raw[6] & 0x0F | 0x40]) + raw[7:]


def _parse(text: str, *, version: int) -> bytes | None:
    if _CANONICAL_UUID.fullmatch(text) is None:
        return None
    raw = bytes.fromhex(text.replace("-", ""))
    return raw if raw[6] >> 4 == version and raw[8] >> 6 == 0b10 else None
