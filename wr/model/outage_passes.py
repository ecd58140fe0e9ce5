"""Outage passes: mark visitors that a server let in while the store is unreachable, so that all servers know
it."""

import msgspec

from wr.model.derived_tokens import derived_payload, sign_derived
from wr.model.signing import KeyRing

_KIND = "outage"
_AUDIENCE = "wr:outage"


class _Payload(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of a pass as JSON."""

    queue_id: str
    exp: int
    aud: str


_DECODER = msgspec.json.Decoder(_Payload)


def sign_outage_pass(queue_id: str, expires_s: int, keys: KeyRing, now_ms: int) -> str:
    """Sign a pass for a queue's site, valid until `expires_s`. About 5 µs, without the store."""
    payload = msgspec.json.encode(_Payload(queue_id=queue_id, exp=expires_s, aud=_AUDIENCE))
    return sign_derived(_KIND, payload, keys, now_ms)


def is_outage_pass(token: str, queue_id: str, keys: KeyRing, now_ms: int) -> bool:
    """Whether this room signed the token for that queue's site, and it has not expired."""
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
