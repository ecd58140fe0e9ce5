"""The promise about session tokens: judged as a site would that stands behind the queue."""

import base64
import time

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.rehearse.imagined_room import simulate
from wr.rehearse.evidence import gather
from wr.rehearse.observations import Observations
from wr.rehearse.promises import tokens

OURS = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ANOTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def published(key: rsa.RSAPrivateKey, kid: str) -> dict[str, object]:
    numbers = key.public_key().public_numbers()

    def text(number: int) -> str:
        raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    jwk = {"kty": "RSA", "kid": kid, "alg": "RS256", "use": "sig", "n": text(numbers.n), "e": text(numbers.e)}
    return {"keys": [jwk]}


def sold(token: str, keys: dict[str, object] | None) -> Observations:
    seen = simulate(visitors=20)
    visit = msgspec.structs.replace(seen.visits[0], session_token=token)
    return msgspec.structs.replace(seen, visits=(visit, *seen.visits[1:]), published_keys=keys)


def signed(
    key: rsa.RSAPrivateKey | str, *, algorithm: str = "RS256", kid: str = "k1", aud: str = "wr:session"
) -> str:
    claims = {"sub": "s", "aud": aud, "exp": int(time.time()) - 3600}
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})


KEYS = published(OURS, "k1")


def test_a_token_that_verifies_keeps_the_promise_even_when_its_time_is_over() -> None:
    assert tokens(gather(sold(signed(OURS), KEYS))).is_kept is True


def test_a_token_signed_with_another_key_breaks_it() -> None:
    assert tokens(gather(sold(signed(ANOTHER), KEYS))).is_kept is False


def test_a_token_whose_key_is_not_published_breaks_it() -> None:
    assert tokens(gather(sold(signed(OURS, kid="k2"), KEYS))).is_kept is False


def test_a_token_for_another_audience_breaks_it() -> None:
    assert tokens(gather(sold(signed(OURS, aud="wr:position"), KEYS))).is_kept is False


def test_tokens_signed_with_a_secret_cannot_be_judged() -> None:
    token = signed("a secret of thirty-two bytes length", algorithm="HS256")
    assert tokens(gather(sold(token, {"keys": []}))).is_kept is None


def test_keys_that_could_not_be_read_leave_it_open() -> None:
    assert tokens(gather(sold(signed(OURS), None))).is_kept is None


def test_no_published_key_at_all_breaks_it() -> None:
    assert tokens(gather(sold(signed(OURS), {"keys": []}))).is_kept is False
