"""Tokens: what a position or session token says, how it is signed, and when it is believed."""

from typing import Annotated, Any, Literal, TypeVar

import jwt
import msgspec
from msgspec import Meta

from wr.model.compact_tokens import CompactSigner
from wr.model.ids import id_text, parse_position_id, parse_session_id, session_id_text
from wr.model.signing import KeyRing, Purpose, is_kid

ISSUER: Literal["wr"] = "wr"
MAX_TOKEN_LENGTH = 4096
_AUDIENCE = {Purpose.POSITION: "wr:position", Purpose.SESSION: "wr:session"}
# What is past its time is told apart from what is false, so the time is checked here and not by the library.
_DECODE_OPTIONS: Any = {
    "require": ["exp", "iat", "sub", "aud", "iss"],
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}


class _PositionPayload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A position token's payload as it is spelled."""

    sub: str
    queue_id: str
    priority: int
    enqueued_ms: int
    iat: int
    exp: int
    iss: Literal["wr"]
    aud: Literal["wr:position"]
    typ: Literal["position"]
    part: Annotated[int, Meta(ge=0, le=255)] = 0
    holder: Annotated[str, Meta(pattern=r"^([opt][0-9a-f]{32})?$")] = ""


class _SessionPayload(msgspec.Struct, frozen=True, kw_only=True):
    """A session token's payload as it is spelled."""

    sub: str
    session_id: str = ""
    """The same as `sub`, under the name that the API has for it; tokens of before do not have it."""
    position_id: str
    queue_id: str
    admitted_ms: int
    iat: int
    exp: int
    iss: Literal["wr"]
    aud: Literal["wr:session"]
    typ: Literal["session"]


_DECODERS: dict[type, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind) for kind in (_PositionPayload, _SessionPayload)
}
Payload = TypeVar("Payload", _PositionPayload, _SessionPayload)


class InvalidToken(Exception):
    """It is not a token of ours, or not of the kind asked for. The message is safe to show."""


class UnknownKey(InvalidToken):
    """It names a key that this ring does not hold; a newer ring may."""


class ExpiredToken(Exception):
    """It is truly ours, but its time is over. `claims` are what it said."""

    def __init__(self, claims: "PositionClaims | SessionClaims") -> None:
        super().__init__("the token has expired")
        self.claims = claims


class PositionClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What a position token says; nothing of it is kept in the store for someone who waits."""

    position_id: bytes
    queue_id: str
    priority: int
    enqueued_ms: int
    issued_s: int
    expires_s: int
    enqueued_part: int = 0
    """256ths of a millisecond after `enqueued_ms` at which the place was taken: they make the order exact."""
    holder: bytes = b""
    """The identity that holds the place: its kind (`IdentityKind` in `wr.store.enqueue`) and 16 bytes. Empty
    for none. With it a store that has forgotten the place still gives the identity no second one."""

    @property
    def half_over_ms(self) -> int:
        """When it is time to hand out a fresh one."""
        return (self.issued_s + self.expires_s) * 500


class PositionProof(msgspec.Struct, frozen=True):
    """A verified position token, and what it says."""

    claims: PositionClaims
    token: str


class SessionClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What a session token says to the origin that verifies it."""

    position_id: bytes
    queue_id: str
    admitted_ms: int
    expires_s: int


def sign_position(claims: PositionClaims, keys: KeyRing, now_ms: int) -> str:
    """Sign a position token; about 4 µs with HS256."""
    return _sign(
        _PositionPayload(
            sub=id_text(claims.position_id),
            queue_id=claims.queue_id,
            priority=claims.priority,
            enqueued_ms=claims.enqueued_ms,
            iat=claims.issued_s,
            exp=claims.expires_s,
            iss=ISSUER,
            aud="wr:position",
            typ="position",
            part=claims.enqueued_part,
            holder=claims.holder[:1].decode() + claims.holder[1:].hex(),
        ),
        Purpose.POSITION,
        keys,
        now_ms,
    )


def sign_session(claims: SessionClaims, keys: KeyRing, now_ms: int) -> str:
    """Sign a session token; about 230 µs with RS256, so off the event loop and once per admission."""
    return _sign(
        _SessionPayload(
            sub=session_id_text(claims.position_id),
            session_id=session_id_text(claims.position_id),
            position_id=id_text(claims.position_id),
            queue_id=claims.queue_id,
            admitted_ms=claims.admitted_ms,
            iat=claims.admitted_ms // 1000,
            exp=claims.expires_s,
            iss=ISSUER,
            aud="wr:session",
            typ="session",
        ),
        Purpose.SESSION,
        keys,
        now_ms,
    )


def read_position(token: str, keys: KeyRing, now_ms: int) -> PositionClaims:
    """Verify a position token; about 5 µs with HS256.

    Raises:
        InvalidToken: malformed, unsigned, signed with a key or algorithm not ours, or a session token.
        ExpiredToken: ours, and over.
    """
    payload = _verified(token, Purpose.POSITION, keys, _PositionPayload)
    position_id = parse_position_id(payload.sub)
    if position_id is None:
        raise InvalidToken("The token names no position")
    claims = PositionClaims(
        position_id=position_id,
        queue_id=payload.queue_id,
        priority=payload.priority,
        enqueued_ms=payload.enqueued_ms,
        issued_s=payload.iat,
        expires_s=payload.exp,
        enqueued_part=payload.part,
        holder=payload.holder[:1].encode() + bytes.fromhex(payload.holder[1:]),
    )
    if now_ms >= claims.expires_s * 1000:
        raise ExpiredToken(claims)
    return claims


def read_session(token: str, keys: KeyRing, now_ms: int) -> SessionClaims:
    """Verify a session token; about 60 µs with RS256.

    Raises:
        InvalidToken: malformed, unsigned, signed with a key or algorithm not ours, or a position token.
        ExpiredToken: ours, and over.
    """
    payload = _verified(token, Purpose.SESSION, keys, _SessionPayload)
    position_id = parse_session_id(payload.sub)
    if position_id is None:
        raise InvalidToken("The token names no session")
    claims = SessionClaims(
        position_id=position_id,
        queue_id=payload.queue_id,
        admitted_ms=payload.admitted_ms,
        expires_s=payload.exp,
    )
    if now_ms >= claims.expires_s * 1000:
        raise ExpiredToken(claims)
    return claims


def _sign(payload: _PositionPayload | _SessionPayload, purpose: Purpose, keys: KeyRing, now_ms: int) -> str:
    loaded = keys.signing(purpose, now_ms)
    if loaded.compact is not None:
        return loaded.compact.sign(msgspec.json.encode(payload))
    return jwt.encode(
        msgspec.to_builtins(payload),
        loaded.signer,
        algorithm=loaded.key.algorithm,
        headers={"kid": loaded.key.kid},
    )


def _verified(token: str, purpose: Purpose, keys: KeyRing, kind: type[Payload]) -> Payload:
    if len(token) > MAX_TOKEN_LENGTH:
        raise InvalidToken("The token is too long")
    compact = keys.compact_signer(token.partition(".")[0], purpose)
    if compact is not None:
        return _verified_compact(token, compact, kind)
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        loaded = keys.find(kid, purpose) if isinstance(kid, str) else None
        if loaded is None:
            # One that names no key of ours, such as the site's own, is not worth looking for its key.
            kind_of_error = UnknownKey if is_kid(kid, purpose) else InvalidToken
            raise kind_of_error(f"The token is not signed as a {purpose} token of this waiting room")
        # Only the key's own algorithm: whatever the token claims for itself is not asked.
        payload: dict[str, Any] = jwt.decode(
            token,
            loaded.verifier,
            algorithms=[loaded.key.algorithm],
            audience=_AUDIENCE[purpose],
            issuer=ISSUER,
            options=_DECODE_OPTIONS,
        )
        return msgspec.convert(payload, kind)
    except (jwt.PyJWTError, UnicodeError, ValueError) as error:
        raise InvalidToken("The token is not valid") from error


def _verified_compact(token: str, compact: CompactSigner, kind: type[Payload]) -> Payload:
    """Read a token that begins as ours do."""
    try:
        payload = compact.verified_payload(token)
        if payload is None:
            raise InvalidToken("The token is not valid")
        return _DECODERS[kind].decode(payload)  # type: ignore[no-any-return]
    except (msgspec.MsgspecError, ValueError) as error:
        raise InvalidToken("The token is not valid") from error
