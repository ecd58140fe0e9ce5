"""What is a pass and what is none, with keys of every kind."""

import base64
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.support.passes import SITE_SECRET, site_pass
from wr.model.passes import BadPass, Pass, read_pass, unverified_pass
from wr.model.verifiers import read_verifier

NOW_MS = 1_800_000_000_000
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
EC384 = ec.generate_private_key(ec.SECP384R1())
ED = ed25519.Ed25519PrivateKey.generate()


def pem(private: Any) -> bytes:
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(private.public_key().public_bytes(serialization.Encoding.PEM, public))


@pytest.mark.parametrize(
    ("private", "algorithm", "setting"),
    [
        (SITE_SECRET, "HS256", SITE_SECRET.encode()),
        (RSA, "RS256", pem(RSA)),
        (EC, "ES256", pem(EC)),
        (ED, "EdDSA", pem(ED)),
        (RSA, "PS512", pem(RSA)),
        (EC384, "ES384", pem(EC384)),
    ],
    ids=["secret", "RSA", "EC", "Ed25519", "RSA with PSS", "P-384"],
)
def test_a_pass_is_checked_with_a_secret_or_a_public_key(
    private: Any, algorithm: str, setting: bytes
) -> None:
    token = site_pass(NOW_MS, "q", "ada", secret=private, algorithm=algorithm, priority=2, uses=1, jti="one")
    assert read_pass(token, read_verifier(setting), "q", NOW_MS) == Pass(
        pass_id="one",
        subject="ada",
        queue_id="q",
        priority=2,
        uses=1,
        expires_s=NOW_MS // 1000 + 3600,
    )


def test_a_public_key_taken_for_a_secret_signs_no_pass() -> None:
    # By hand, since the library refuses to sign so; an attacker's does not.
    payload = jwt.decode(site_pass(NOW_MS, "q", "eve"), options={"verify_signature": False})

    def spelled(part: bytes) -> bytes:
        return base64.urlsafe_b64encode(part).rstrip(b"=")

    head = (
        spelled(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
        + b"."
        + spelled(json.dumps(payload).encode())
    )
    token = (head + b"." + spelled(hmac.digest(pem(RSA), head, "sha256"))).decode()
    with pytest.raises(BadPass) as refused:
        read_pass(token, read_verifier(pem(RSA)), "q", NOW_MS)
    assert refused.value.reason == "invalid"


@pytest.mark.parametrize("short", [b"", b"short", b"x" * 31])
def test_a_short_secret_is_refused(short: bytes) -> None:
    with pytest.raises(ValueError, match="at least 32 bytes"):
        read_verifier(short)


def test_without_a_key_every_pass_is_invalid() -> None:
    with pytest.raises(BadPass):
        read_pass(site_pass(NOW_MS, "q", "ada"), None, "q", NOW_MS)


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": "soon"},
        {"exp": 10**30},
        {"exp": -1},
        {"priority": "3"},
        {"priority": -1},
        {"uses": 10**9},
        {"sub": ""},
        {"sub": "x" * 257},
        {"jti": ""},
        {"queue": ["q"]},
        {"nbf": "now"},
    ],
    ids=str,
)
def test_a_claim_of_another_form_makes_a_pass_invalid(claims: dict[str, Any]) -> None:
    token = site_pass(NOW_MS, "q", **{"subject": "ada", **claims})
    with pytest.raises(BadPass) as refused:
        read_pass(token, read_verifier(SITE_SECRET.encode()), "q", NOW_MS)
    assert refused.value.reason == "invalid"


def test_what_is_taken_back_needs_no_good_signature_but_the_form_and_the_queue() -> None:
    assert unverified_pass(site_pass(NOW_MS, "q", "ada", secret="z" * 40), "q").subject == "ada"
    for token in ("nonsense", site_pass(NOW_MS, "other", "ada")):
        with pytest.raises(BadPass):
            unverified_pass(token, "q")


def test_a_key_that_could_check_nothing_is_refused_at_once() -> None:
    odd = ec.generate_private_key(ec.SECP256K1())
    with pytest.raises(ValueError, match="P-256"):
        read_verifier(pem(odd))
