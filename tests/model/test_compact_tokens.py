"""Compact tokens: the general library signs and verifies the very same, and no letter can be changed."""

import string

import jwt
import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from wr.model.compact_tokens import CompactSigner

SECRET = bytes(range(32))
PAYLOADS = st.dictionaries(st.text(max_size=20), st.text(max_size=20) | st.integers(0, 2**53), max_size=5)


SIGNER = CompactSigner("position-1", SECRET)


def signed(payload: bytes, kid: str = "position-1") -> str:
    return CompactSigner(kid, SECRET).sign(payload)


def verified(token: str) -> bytes | None:
    """What is said of a token that begins as ours do; of any other nobody asks."""
    assert token.startswith(f"{SIGNER.header}.")
    return SIGNER.verified_payload(token)


@given(PAYLOADS, st.text(max_size=20))
@example({}, "")
def test_the_general_library_verifies_what_is_signed_here(payload: dict[str, object], kid: str) -> None:
    token = signed(msgspec.json.encode(payload), kid)
    options = {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_sub": False}
    read = jwt.api_jws.PyJWS().decode_complete(token, SECRET, algorithms=["HS256"], options=options)
    assert msgspec.json.decode(read["payload"]) == payload
    assert read["header"] == {"alg": "HS256", "kid": kid, "typ": "JWT"}


@given(PAYLOADS)
@example({})
def test_what_the_general_library_signs_is_verified_here(payload: dict[str, object]) -> None:
    token = jwt.api_jws.PyJWS().encode(
        msgspec.json.encode(payload), SECRET, "HS256", headers={"kid": "position-1"}, sort_headers=True
    )
    read = verified(token)
    assert read is not None
    assert msgspec.json.decode(read) == payload


def test_both_spell_a_token_alike_letter_by_letter() -> None:
    payload = b'{"sub":"1","exp":1800000000}'
    headers = {"kid": "position-1"}
    by_library = jwt.api_jws.PyJWS().encode(payload, SECRET, "HS256", headers=headers, sort_headers=True)
    assert signed(payload) == by_library


def test_no_letter_can_be_changed_left_out_or_added() -> None:
    for length in range(6):  # Whatever is left of the last group of letters, in payload and signature.
        token = signed(b'{"sub":"%s"}' % (b"a" * length))
        assert verified(token) is not None
        for place in range(len(SIGNER.header) + 1, len(token)):
            for letter in {*string.ascii_letters, *string.digits, *"-_=.+/ "} - {token[place]}:
                assert verified(token[:place] + letter + token[place + 1 :]) is None
            assert verified(token[:place] + token[place + 1 :]) is None
            assert verified(token[:place] + "A" + token[place:]) is None
        for end in ("=", "==", "A", ".", "\n", " "):
            assert verified(token + end) is None


@given(st.text(st.characters(max_codepoint=127), max_size=50))
def test_what_is_no_token_is_none(text: str) -> None:
    assert verified(f"{SIGNER.header}.{text}") is None


def test_another_secret_verifies_nothing() -> None:
    other = CompactSigner("position-1", SECRET[:-1] + b"\xff")
    assert other.verified_payload(signed(b"{}")) is None
