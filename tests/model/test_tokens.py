"""Tokens: what is believed, what is not, and what is over."""

import hashlib
import random
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wr.model.signing import Algorithm, KeyRing, Purpose, SigningKey, make_key
from wr.model.tokens import (
    ExpiredToken,
    InvalidToken,
    PositionClaims,
    SessionClaims,
    UnknownKey,
    read_session,
    sign_position,
    sign_session,
    verified_position,
)

NOW_MS = 1_800_000_000_000
POSITION = hashlib.blake2b(b"p", digest_size=6).digest() + b"\x4a\x11\x8b" + b"1234567"
CLAIMS = PositionClaims(
    position_id=POSITION,
    queue_id="concert",
    priority=2,
    enqueued_ms=NOW_MS - 5,
    issued_s=NOW_MS // 1000,
    expires_s=NOW_MS // 1000 + 1800,
)
SESSION = SessionClaims(
    position_id=POSITION, queue_id="concert", admitted_ms=NOW_MS, expires_s=NOW_MS // 1000 + 60
)


def key(purpose: Purpose, algorithm: Algorithm, seed: int = 1, active_ms: int = 0) -> SigningKey:
    noise = random.Random(seed)
    return make_key(
        purpose,
        algorithm,
        created_ms=0,
        active_ms=active_ms,
        random_bytes=noise.randbytes,
    )


POSITION_KEY = key(Purpose.POSITION, Algorithm.HS256)
SESSION_KEY = key(Purpose.SESSION, Algorithm.RS256, 2)
RING = KeyRing([POSITION_KEY, SESSION_KEY])


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_token_of_any_algorithm_says_what_was_signed(algorithm: Algorithm) -> None:
    ring = KeyRing([key(Purpose.POSITION, algorithm, 3), key(Purpose.SESSION, algorithm, 4)])
    assert verified_position(sign_position(CLAIMS, ring, NOW_MS), ring) == CLAIMS
    assert read_session(sign_session(SESSION, ring, NOW_MS), ring, NOW_MS) == SESSION
    assert len(ring.jwks()["keys"]) == (0 if algorithm is Algorithm.HS256 else 1)


def test_what_is_published_verifies_and_keeps_its_secret() -> None:
    (published,) = RING.jwks()["keys"]
    assert set(published) == {"kty", "n", "e", "kid", "use", "alg"}
    token = sign_session(SESSION, RING, NOW_MS)
    payload = jwt.decode(
        token,
        jwt.PyJWK(published).key,
        algorithms=["RS256"],
        audience="wr:session",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert payload["queue_id"] == "concert"
    assert jwt.get_unverified_header(token)["kid"] == published["kid"]


def test_a_session_token_is_over_at_its_end_and_not_before() -> None:
    token = sign_session(SESSION, RING, NOW_MS)
    read_session(token, RING, SESSION.expires_s * 1000 - 1)
    with pytest.raises(ExpiredToken) as over:
        read_session(token, RING, SESSION.expires_s * 1000)
    assert over.value.claims == SESSION


def test_a_position_token_is_no_session_token_and_the_reverse() -> None:
    with pytest.raises(InvalidToken):
        read_session(sign_position(CLAIMS, RING, NOW_MS), RING, NOW_MS)
    with pytest.raises(InvalidToken):
        verified_position(sign_session(SESSION, RING, NOW_MS), RING)


def forged(secret: Any, algorithm: str, kid: str | None, **claims: Any) -> str:
    payload = {
        "sub": "550e8400-e29b-41d4-a716-446655440000",
        "queue_id": "concert",
        "priority": 0,
        "enqueued_ms": 0,
        "iat": NOW_MS // 1000,
        "exp": NOW_MS // 1000 + 60,
        "iss": "wr",
        "aud": "wr:position",
        "typ": "position",
        **claims,
    }
    return jwt.encode(payload, secret, algorithm=algorithm, headers={} if kid is None else {"kid": kid})


def test_forgeries_are_not_believed() -> None:
    kid = POSITION_KEY.kid
    public = RING.find(SESSION_KEY.kid, Purpose.SESSION)
    assert public is not None
    forgeries = [
        forged(None, "none", kid),
        forged(b"x" * 32, "HS256", kid),
        forged(b"x" * 64, "HS512", kid),
        forged(b"x" * 32, "HS256", None),
        forged(b"x" * 32, "HS256", SESSION_KEY.kid),
        forged(b"x" * 32, "HS256", "../../dev/null"),
    ]
    for token in forgeries:
        with pytest.raises(InvalidToken):
            verified_position(token, RING)


@pytest.mark.parametrize(
    "claims",
    [{"typ": "session"}, {"aud": "wr:session"}, {"iss": "someone"}, {"sub": "nobody"}, {"exp": "soon"}],
)
def test_a_good_signature_does_not_make_a_wrong_claim_right(claims: dict[str, Any]) -> None:
    loaded = RING.find(POSITION_KEY.kid, Purpose.POSITION)
    assert loaded is not None
    with pytest.raises(InvalidToken):
        verified_position(forged(loaded.signer, "HS256", POSITION_KEY.kid, **claims), RING)


@pytest.mark.parametrize("missing", ["queue_id", "priority", "enqueued_ms", "exp", "sub"])
def test_a_missing_claim_is_refused_and_breaks_nothing(missing: str) -> None:
    loaded = RING.find(POSITION_KEY.kid, Purpose.POSITION)
    assert loaded is not None
    token = forged(loaded.signer, "HS256", POSITION_KEY.kid)
    payload = jwt.decode(token, options={"verify_signature": False})
    del payload[missing]
    broken = jwt.encode(payload, loaded.signer, algorithm="HS256", headers={"kid": POSITION_KEY.kid})
    with pytest.raises(InvalidToken):
        verified_position(broken, RING)


@given(st.text(max_size=300))
def test_rubbish_is_an_invalid_token_and_nothing_else(rubbish: str) -> None:
    with pytest.raises(InvalidToken):
        verified_position(rubbish, RING)


@given(st.integers(0, 400), st.integers(1, 255))
def test_changing_any_byte_makes_it_invalid(at: int, change: int) -> None:
    token = bytearray(sign_position(CLAIMS, RING, NOW_MS).encode())
    # The last character of a part may carry bits that mean nothing, so it is left alone.
    if at < len(token) - 1 and token[at + 1 : at + 2] != b"." and token[at] != ord("."):
        token[at] ^= change
        with pytest.raises(InvalidToken):
            verified_position(token.decode("latin-1"), RING)


def test_a_new_key_signs_from_its_time_on_and_the_old_goes_on_verifying() -> None:
    old = key(Purpose.POSITION, Algorithm.HS256, 5)
    new = key(Purpose.POSITION, Algorithm.HS256, 6, active_ms=NOW_MS + 5000)
    before, ring = KeyRing([old]), KeyRing([new, old])
    token = sign_position(CLAIMS, before, NOW_MS)
    assert verified_position(token, ring) == CLAIMS
    assert jwt.get_unverified_header(sign_position(CLAIMS, ring, NOW_MS))["kid"] == old.kid
    later = sign_position(CLAIMS, ring, NOW_MS + 5000)
    assert jwt.get_unverified_header(later)["kid"] == new.kid
    with pytest.raises(UnknownKey):
        verified_position(later, before)


def test_a_key_does_not_show_its_secret_when_printed() -> None:
    assert POSITION_KEY.secret not in f"{POSITION_KEY!r} {POSITION_KEY}"


def test_a_token_is_renewed_after_half_its_life() -> None:
    assert CLAIMS.half_over_ms == NOW_MS + 900_000
