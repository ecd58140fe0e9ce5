"""Signing keys: made, spelled for the store, and put together as a ring that signs with the newest."""

import base64
import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from functools import lru_cache
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from wr.model.compact_tokens import CompactSigner


class Purpose(StrEnum):
    """What a key signs; a key never signs two kinds of token."""

    POSITION = "position"
    SESSION = "session"
    PASS = "pass"  # noqa: S105 - what a key is for, not a secret


class Algorithm(StrEnum):
    """The JWT algorithms that may be chosen."""

    HS256 = "HS256"
    RS256 = "RS256"
    ES256 = "ES256"
    EDDSA = "EdDSA"


class SigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key as kept in the store. `secret` is base64 for HS256 and an unencrypted PEM otherwise."""

    kid: str
    purpose: Purpose
    algorithm: Algorithm
    secret: str
    created_ms: int
    active_ms: int
    """From when on it signs: a little after its creation, so that every replica knows it by then."""

    def __repr__(self) -> str:
        return f"<SigningKey {self.kid} {self.purpose} {self.algorithm}>"


class LoadedKey(msgspec.Struct, frozen=True):
    """A key parsed once: what signs, what verifies, what is published (None for a shared secret)."""

    key: SigningKey
    signer: Any
    verifier: Any
    jwk: dict[str, Any] | None
    compact: CompactSigner | None = None
    """What signs and verifies HS256 tokens of ours in a few steps; none for other algorithms."""


class KeyRing:
    """All keys of one moment. Immutable: a change makes a new ring."""

    def __init__(self, keys: Iterable[SigningKey]) -> None:
        self._by_kid = {key.kid: load_key(key) for key in keys}
        self._by_header = {
            purpose: {
                loaded.compact.header: loaded.compact
                for loaded in self._by_kid.values()
                if loaded.compact is not None and loaded.key.purpose == purpose
            }
            for purpose in Purpose
        }
        self._newest_first = sorted(
            self._by_kid.values(), key=lambda loaded: (loaded.key.active_ms, loaded.key.kid), reverse=True
        )
        self._by_purpose = {
            purpose: [loaded for loaded in self._newest_first if loaded.key.purpose == purpose]
            for purpose in Purpose
        }

    def __len__(self) -> int:
        return len(self._by_kid)

    def all(self) -> list[SigningKey]:
        """List the keys, newest first."""
        return [loaded.key for loaded in self._newest_first]

    def find(self, kid: str, purpose: Purpose) -> LoadedKey | None:
        """Find the key of that name if it signs that kind of token."""
        loaded = self._by_kid.get(kid)
        return loaded if loaded is not None and loaded.key.purpose == purpose else None

    def compact_signer(self, header: str, purpose: Purpose) -> CompactSigner | None:
        """Find what signed the compact tokens that begin so, if it signs that kind of token."""
        return self._by_header[purpose].get(header)

    def signing(self, purpose: Purpose, now_ms: int) -> LoadedKey:
        """Pick the key that signs now: the newest that is active, else the oldest there is.

        Raises:
            LookupError: there is none for that purpose.
        """
        candidates = self._by_purpose[purpose]
        for loaded in candidates:
            if loaded.key.active_ms <= now_ms:
                return loaded
        if not candidates:
            raise LookupError(f"no signing key for {purpose} tokens")
        return candidates[-1]

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """Publish what verifies session tokens (RFC 7517); shared secrets are left out."""
        return {
            "keys": [
                loaded.jwk
                for loaded in self._newest_first
                if loaded.jwk is not None and loaded.key.purpose is Purpose.SESSION
            ]
        }


def make_key(
    purpose: Purpose,
    algorithm: Algorithm,
    *,
    created_ms: int,
    active_ms: int,
    random_bytes: Callable[[int], bytes],
) -> SigningKey:
    """Make a new key. RS256 (2048 bits) takes about a tenth of a second: call it off the event loop."""
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    if algorithm is Algorithm.HS256:
        secret = base64.b64encode(random_bytes(32)).decode()
    else:
        if algorithm is Algorithm.RS256:
            private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        elif algorithm is Algorithm.ES256:
            private = ec.generate_private_key(ec.SECP256R1())
        else:
            private = ed25519.Ed25519PrivateKey.generate()
        secret = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
    return SigningKey(
        kid=make_kid(purpose, random_bytes),
        purpose=purpose,
        algorithm=algorithm,
        secret=secret,
        created_ms=created_ms,
        active_ms=active_ms,
    )


def make_kid(purpose: Purpose, random_bytes: Callable[[int], bytes]) -> str:
    """Make the name of a key: what it signs, and twelve hexadecimal digits."""
    return f"{purpose}-{random_bytes(6).hex()}"


def is_kid(name: object, purpose: Purpose) -> bool:
    """Whether a key of ours, for that kind of token, may have this name."""
    return isinstance(name, str) and re.fullmatch(f"{purpose}-[0-9a-f]{{12}}", name) is not None


@lru_cache(maxsize=64)
def load_key(key: SigningKey) -> LoadedKey:
    """Parse a key; once, because an RSA key takes 40 ms, and every rotation makes the ring anew.

    Raises:
        ValueError: its secret is not what its algorithm needs.
    """
    if key.algorithm is Algorithm.HS256:
        shared = base64.b64decode(key.secret, validate=True)
        return LoadedKey(key, shared, shared, None, CompactSigner(key.kid, shared))
    private = serialization.load_pem_private_key(key.secret.encode(), password=None)
    jwk: dict[str, Any]
    if isinstance(private, rsa.RSAPrivateKey):
        jwk = RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
    elif isinstance(private, ec.EllipticCurvePrivateKey):
        jwk = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    elif isinstance(private, ed25519.Ed25519PrivateKey):
        jwk = OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
    else:
        raise ValueError(  # noqa: TRY004 - the file holds a wrong key; no caller passed a wrong type
            f"key {key.kid} is of a kind that signs no {key.algorithm} tokens"
        )
    jwk.pop("key_ops", None)
    jwk.update(kid=key.kid, use="sig", alg=str(key.algorithm))
    return LoadedKey(key, private, private.public_key(), jwk)
