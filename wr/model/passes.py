"""Passes: signed statements of a site, or of this room, about a visitor's name, queue and priority."""

from collections.abc import Mapping
from typing import Annotated

import jwt
import msgspec
from msgspec import Meta

from wr.model.priorities import HIGHEST_PRIORITY
from wr.model.signing import KeyRing, Purpose, is_kid
from wr.model.tokens import ISSUER, MAX_TOKEN_LENGTH
from wr.model.verifiers import Verifier

AUDIENCE = "wr:pass"
_REQUIRED = ["exp", "sub", "jti"]
PUBLIC_ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
"""Algorithms with a public key with which a pass may be signed."""


class BadPass(Exception):
    """The pass gives no place. `reason` says why, in one word that may be shown."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the pass gives no place: {reason}")
        self.reason = reason


class Pass(msgspec.Struct, frozen=True, kw_only=True):
    """A verified pass."""

    pass_id: str
    """Its `jti`."""
    subject: str
    """Its `sub`: the visitor, who can hold one place in the queue."""
    queue_id: str
    priority: int
    uses: int
    """Number of places that it gives, one after the other; 0 means any number."""
    expires_s: int


_Time = Annotated[int, Meta(ge=0, le=2**53)] | Annotated[float, Meta(ge=0, le=2**53)]


class _Payload(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of a pass as JSON."""

    sub: Annotated[str, Meta(min_length=1, max_length=256)]
    queue: Annotated[str, Meta(min_length=1, max_length=64)]
    exp: _Time
    jti: Annotated[str, Meta(min_length=1, max_length=256)]
    nbf: _Time = 0
    priority: Annotated[int, Meta(ge=0, le=HIGHEST_PRIORITY)] = 0
    uses: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    aud: str | list[str] | None = None


def sign_pass(made: Pass, keys: KeyRing, now_ms: int) -> str:
    """Sign a pass with a key of this waiting room; about 25 µs with HS256."""
    loaded = keys.signing(Purpose.PASS, now_ms)
    payload: dict[str, object] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": made.subject,
        "queue": made.queue_id,
        "priority": made.priority,
        "jti": made.pass_id,
        "iat": now_ms // 1000,
        "exp": made.expires_s,
    }
    if made.uses:
        payload["uses"] = made.uses
    return jwt.encode(payload, loaded.signer, algorithm=loaded.key.algorithm, headers={"kid": loaded.key.kid})


def key_name(token: str) -> str | None:
    """Return the name of the key that a pass claims to be signed with; None if it names none.

    Raises:
        BadPass: it is not a JWT, or is too long.
    """
    if len(token) > MAX_TOKEN_LENGTH:
        raise BadPass("invalid")
    try:
        header: Mapping[str, object] = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, UnicodeError, ValueError) as error:
        raise BadPass("invalid") from error
    kid = header.get("kid")
    return kid if isinstance(kid, str) else None


def own_verifier(kid: str | None, keys: KeyRing) -> Verifier | None:
    """Return the verifier of a pass that this room signed; None if another party signed it."""
    if kid is None or not is_kid(kid, Purpose.PASS):
        return None
    loaded = keys.find(kid, Purpose.PASS)
    return None if loaded is None else Verifier(loaded.verifier, (str(loaded.key.algorithm),))


def read_pass(token: str, verifier: Verifier | None, queue_id: str, now_ms: int) -> Pass:
    """Verify a pass for a queue. 50 to 150 µs.

    Without a verifier no key is known, and the pass is invalid.

    Raises:
        BadPass: `invalid` (wrong signature or form), `expired`, `not_yet` (before its `nbf`), or
            `other_queue`.
    """
    if verifier is None:
        raise BadPass("invalid")
    try:
        payload = jwt.decode(
            token,
            verifier.key,
            algorithms=list(verifier.algorithms),
            options={
                **{"require": _REQUIRED, "verify_aud": False, "verify_iat": False},
                **{"verify_exp": False, "verify_nbf": False},
            },
        )
        said = msgspec.convert(payload, _Payload)
    except (jwt.PyJWTError, msgspec.ValidationError, UnicodeError, ValueError) as error:
        raise BadPass("invalid") from error
    # A token that the site signed for another audience is not a pass, even if it has the same claims.
    if said.aud is not None and AUDIENCE not in ([said.aud] if isinstance(said.aud, str) else said.aud):
        raise BadPass("invalid")
    # Written with `not` so that NaN counts as expired.
    if not said.exp * 1000 > now_ms:
        raise BadPass("expired")
    if not said.nbf * 1000 <= now_ms:
        raise BadPass("not_yet")
    return _of_queue(said, queue_id)


def unverified_pass(token: str, queue_id: str) -> Pass:
    """Read a pass without verifying its signature or expiry, in order to revoke it.

    Raises:
        BadPass: `invalid` (not the form of a pass), or `other_queue`.
    """
    return _of_queue(_unverified(token), queue_id)


def unverified_queue(token: str) -> str:
    """Return the queue of a pass without verifying its signature.

    Raises:
        BadPass: `invalid`, not the form of a pass.
    """
    return _unverified(token).queue


def _unverified(token: str) -> _Payload:
    key_name(token)
    try:
        payload = jwt.decode(token, options={"verify_signature": False})
        return msgspec.convert(payload, _Payload)
    except (jwt.PyJWTError, msgspec.ValidationError, UnicodeError, ValueError) as error:
        raise BadPass("invalid") from error


def _of_queue(said: _Payload, queue_id: str) -> Pass:
    if said.queue != queue_id:
        raise BadPass("other_queue")
    return Pass(
        pass_id=said.jti,
        subject=said.sub,
        queue_id=said.queue,
        priority=said.priority,
        uses=said.uses or 0,
        expires_s=int(said.exp),
    )
