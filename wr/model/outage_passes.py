"""Outage passes: by them every server knows who was let in on a budget while the store is away."""

import msgspec

from wr.model.derived_tokens import derived_payload, sign_derived
from wr.model.signing import KeyRing

_KIND = "outage"
_AUDIENCE = "wr:outage"


class _Payload(msgspec.Struct, frozen=True, kw_only=True):
    """A pass as it is spelled."""

    queue_id: str
    exp: int
    aud: str


_DECODER = msgspec.json.Decoder(_Payload)


def sign_outage_pass(queue_id: str, expires_s: int, keys: KeyRing, now_ms: int) -> str:
    """Sign a pass for a queue's site, good until `expires_s`; about 5 µs. The store is not asked."""
    payload = msgspec.json.encode(_Payload(queue_id=queue_id, exp=expires_s, aud=_AUDIENCE))
    return sign_derived(_KIND, payload, keys, now_ms)


def is_outage_pass(token: str, queue_id: str, keys: KeyRing, now_ms: int) -> bool:
    """Whether this is a pass of ours for that queue's site, and not over."""
    raw = derived_payload(_KIND, token, keys)
    try:
        payload = None if raw is None else _DECODER.decode(raw)
    except msgspec.MsgspecError:
        return False
    return (
        payload is not None
        and (payload.queue_id, payload.aud) == (queue_id, _AUDIENCE)
        and now_ms < payload.exp * 1000
    )
