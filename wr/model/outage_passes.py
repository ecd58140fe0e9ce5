"""Outage passes: by them every server knows who was let in on a budget while the store is away."""

import hmac
from functools import lru_cache

import msgspec

from wr.model.compact_tokens import CompactSigner
from wr.model.signing import KeyRing, Purpose, SigningKey
from wr.model.tokens import MAX_TOKEN_LENGTH

_AUDIENCE = "wr:outage"


class _Payload(msgspec.Struct, frozen=True, kw_only=True):
    """A pass as it is spelled."""

    queue_id: str
    exp: int
    aud: str


_DECODER = msgspec.json.Decoder(_Payload)


def sign_outage_pass(queue_id: str, expires_s: int, keys: KeyRing, now_ms: int) -> str:
    """Sign a pass for a queue's site, good until `expires_s`; about 5 µs. The store is not asked."""
    signer = _signer(keys.signing(Purpose.POSITION, now_ms).key)
    return signer.sign(msgspec.json.encode(_Payload(queue_id=queue_id, exp=expires_s, aud=_AUDIENCE)))


def is_outage_pass(token: str, queue_id: str, keys: KeyRing, now_ms: int) -> bool:
    """Whether this is a pass of ours for that queue's site, and not over."""
    if len(token) > MAX_TOKEN_LENGTH:
        return False
    header = token.partition(".")[0]
    for signer in (_signer(key) for key in keys.all() if key.purpose is Purpose.POSITION):
        if signer.header == header:
            try:
                raw = signer.verified_payload(token)
                payload = None if raw is None else _DECODER.decode(raw)
            except (msgspec.MsgspecError, ValueError):
                return False
            return (
                payload is not None
                and (payload.queue_id, payload.aud) == (queue_id, _AUDIENCE)
                and now_ms < payload.exp * 1000
            )
    return False


@lru_cache(maxsize=64)
def _signer(key: SigningKey) -> CompactSigner:
    """Derive what signs passes from a key that all replicas share: the key itself signs one kind of token."""
    secret = hmac.digest(key.secret.encode(), b"wr outage pass", "sha256")
    return CompactSigner(f"outage-{key.kid}", secret)
