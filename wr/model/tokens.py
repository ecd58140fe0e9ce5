"""Position and session tokens: their claims, and how they are signed and verified."""

from typing import Annotated, Any, Literal, TypeVar

import jwt
import msgspec
from msgspec import Meta

from wr.model.compact_tokens import CompactSigner
from wr.model.ids import id_text, parse_session_id, session_id_text, signed_position_id
from wr.model.signing import KeyRing, Purpose, is_kid

ISSUER: Literal["wr"] = "wr"
MAX_TOKEN_LENGTH = 4096
_AUDIENCE = {Purpose.POSITION: "wr:position", Purpose.SESSION: "wr:session"}
# Expired tokens must be told apart from invalid ones, so this module checks the expiry, not the library.
_DECODE_OPTIONS: Any = {
    "require": ["exp", "iat", "sub", "aud", "iss"],
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}


class _PositionPayload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The payload of a position token as JSON."""

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
    """The payload of a session token as JSON."""

    sub: str
    session_id: str = ""
    """Same as `sub`, under the API's name for it. Older tokens do not have it."""
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
    """The token is not from this room, or not of the required kind. The message is safe to show."""


class UnknownKey(InvalidToken):
    """The token names a key that is not in this ring. A newer ring may have it."""


class ExpiredToken(Exception):
    """The token is valid but expired. `claims` are its claims."""

    def __init__(self, claims: "PositionClaims | SessionClaims") -> None:
        super().__init__("the token has expired")
        self.claims = claims


class PositionClaims(msgspec.Struct, frozen=True, gc=False):
    """The claims of a position token. The store does not keep them for a waiting visitor."""

    position_id: bytes
    queue_id: str
    priority: int
    enqueued_ms: int
    issued_s: int
    expires_s: int
    enqueued_part: int = 0
    """Time of the join after `enqueued_ms`, in 256ths of a millisecond, which makes the order exact."""
    holder: bytes = b""
    """The identity that holds the place: its kind (`IdentityKind` in `wr.store.enqueue`) and 16 bytes; empty
    if there is none. It keeps a store that has lost the place from giving the identity a second one."""

    @property
    def half_over_ms(self) -> int:
        """When the visitor should get a new token."""
        return (self.issued_s + self.expires_s) * 500


class PositionProof(msgspec.Struct, frozen=True, gc=False):
    """A verified position token, and what it says."""

    claims: PositionClaims
    token: str


class SessionClaims(msgspec.Struct, frozen=True, kw_only=True):
    """The claims of a session token, for the site that verifies it."""

    position_id: bytes
    queue_id: str
    admitted_ms: int
    expires_s: int


def sign_position(claims: PositionClaims, keys: KeyRing, now_ms: int) -> str:
    """Sign a position token. About 4 µs with HS256."""
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
    """Sign a session token. About 230 µs with RS256: call it in a thread, once per admission."""
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


def verified_position(token: str, keys: KeyRing) -> PositionClaims:
    """Verify a position token, whose time may be over. About 4 µs with HS256.

    Raises:
        InvalidToken: malformed, unsigned, signed with a foreign key or algorithm, or a session token.
    """
    compact = keys.position_signers.get(token.partition(".")[0])
    if compact is None or len(token) > MAX_TOKEN_LENGTH:
        payload = _verified(token, Purpose.POSITION, keys, _PositionPayload)
    else:
        payload = _verified_compact(token, compact, _PositionPayload)
    position_id = signed_position_id(payload.sub)
    if position_id is None:
        raise InvalidToken("The token names no position")
    holder = payload.holder
    return PositionClaims(
        position_id,
        payload.queue_id,
        payload.priority,
        payload.enqueued_ms,
        payload.iat,
        payload.exp,
        payload.part,
        holder[:1].encode() + bytes.fromhex(holder[1:]) if holder else b"",
    )


def read_session(token: str, keys: KeyRing, now_ms: int) -> SessionClaims:
    """Verify a session token. About 60 µs with RS256.

    Raises:
        InvalidToken: malformed, unsigned, signed with a foreign key or algorithm, or a position token.
        ExpiredToken: valid but expired.
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
            # If the name is not one of this room's keys (such as the site's own key), a newer ring cannot
            # help.
            kind_of_error = UnknownKey if is_kid(kid, purpose) else InvalidToken
            raise kind_of_error(f"The token is not signed as a {purpose} token of this waiting room")
        # Only the key's own algorithm counts, whatever the token claims.
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
    """Verify a token whose header belongs to one of this room's keys."""
    try:
        payload = compact.verified_payload(token)
        if payload is None:
            raise InvalidToken("The token is not valid")
        return _DECODERS[kind].decode(payload)  # type: ignore[no-any-return]
    except (msgspec.MsgspecError, ValueError) as error:
        raise InvalidToken("The token is not valid") from error
