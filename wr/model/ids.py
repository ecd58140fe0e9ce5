"""Identifiers: what a queue may be called, and how positions and sessions are numbered.

A position is 16 random bytes in the store and a version-4 UUID at the edge. A session is the same bytes
with version digit 8 instead of 4, so that either can be found from the other without storing a mapping,
and an operator sees at a glance which visit a session came from.
"""

import re
from collections.abc import Callable

QUEUE_ID_PATTERN = "^[A-Za-z0-9._-]{1,64}$"
_QUEUE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CANONICAL_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")


def is_queue_id(text: str) -> bool:
    """Tell whether `text` may name a queue: 1 to 64 of A-Z a-z 0-9 . _ -."""
    return _QUEUE_ID.fullmatch(text) is not None


def new_position_id(random_bytes: Callable[[int], bytes], address_tag: bytes = b"") -> bytes:
    """Make a position id: 16 bytes, a version-4 UUID with 122 random bits drawn from `random_bytes`.

    With a tag of 4 bytes, those are the last four, which leaves 90 random bits: the store then knows which
    address a place counts for without keeping it.
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
    """Turn the 16 bytes of a position into those of the session it became."""
    return position_id[:6] + bytes([position_id[6] & 0x0F | 0x80]) + position_id[7:]


def session_id_text(position_id: bytes) -> str:
    """Spell the id of the session that the position with these 16 bytes became."""
    return id_text(session_id_bytes(position_id))


def parse_position_id(text: str) -> bytes | None:
    """Read a position id; None when it is not a canonical version-4 UUID."""
    return _parse(text, version=4)


def parse_session_id(text: str) -> bytes | None:
    """Read a session id; returns the 16 bytes of its position, or None when it is no session id."""
    raw = _parse(text, version=8)
    return None if raw is None else raw[:6] + bytes([raw[6] & 0x0F | 0x40]) + raw[7:]


def _parse(text: str, *, version: int) -> bytes | None:
    if _CANONICAL_UUID.fullmatch(text) is None:
        return None
    raw = bytes.fromhex(text.replace("-", ""))
    return raw if raw[6] >> 4 == version and raw[8] >> 6 == 0b10 else None
