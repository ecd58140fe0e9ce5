"""Signed notes from the gate to the waiting page: this session was refused, the visitor must join again."""

import msgspec

from wr.model.derived_tokens import derived_payload, sign_derived
from wr.model.signing import KeyRing

REFUSED_PARAMETER = "wr_refused"
"""Query parameter of the waiting page that contains the note."""
_KIND = "refused"
_LASTS_MS = 600_000


class _Payload(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of a note as JSON."""

    position_id: bytes
    expires_ms: int


_DECODER = msgspec.json.Decoder(_Payload)


def sign_refused(position_id: bytes, keys: KeyRing, now_ms: int) -> str:
    """Sign a note that the session of this position was refused. Valid for ten minutes. About 5 µs."""
    payload = _Payload(position_id=position_id, expires_ms=now_ms + _LASTS_MS)
    return sign_derived(_KIND, msgspec.json.encode(payload), keys, now_ms)


def read_refused(note: str, keys: KeyRing, now_ms: int) -> bytes | None:
    """Return the position whose session was refused; None if the note is invalid or expired."""
    raw = derived_payload(_KIND, note, keys)
    try:
        payload = None if raw is None else _DECODER.decode(raw)
    except msgspec.MsgspecError:
        return None
    return payload.position_id if payload is not None and now_ms < payload.expires_ms else None
