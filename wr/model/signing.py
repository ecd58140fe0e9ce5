"""Signing keys: generates them, defines their form in the store, and selects the one that signs now."""

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
    """The kind of token that a key signs. A key never signs two kinds."""

    POSITION = "position"
    SESSION = "session"
    PASS = "pass"  # noqa: S105 - what a key is for, not a secret


class Algorithm(StrEnum):
    """The JWT algorithms that settings may select."""

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
    """When it starts to sign: a little after its creation, so that every server knows it by then."""

    def __repr__(self) -> str:
        return f"<SigningKey {self.kid} {self.purpose} {self.algorithm}>"


class LoadedKey(msgspec.Struct, frozen=True):
    """A parsed key: its signing key, its verifying key, and its published form (None for a shared secret)."""

    key: SigningKey
    signer: Any
    verifier: Any
    jwk: dict[str, Any] | None
    compact: CompactSigner | None = None
    """The fast signer for HS256; None for other algorithms."""


class KeyRing:
    """All keys at one time. Immutable: a change creates a new ring."""

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
        self.position_signers = self._by_header[Purpose.POSITION]
        """The signers of position tokens in compact form, by the header of their tokens."""
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
        """Return the key with that name if it signs that kind of token, else None."""
        loaded = self._by_kid.get(kid)
        return loaded if loaded is not None and loaded.key.purpose == purpose else None

    def compact_signer(self, header: str, purpose: Purpose) -> CompactSigner | None:
        """Return the signer of compact tokens with that header if it signs that kind of token, else None."""
        return self._by_header[purpose].get(header)

    def signing(self, purpose: Purpose, now_ms: int) -> LoadedKey:
        """Return the key that signs now: the newest active one, or the oldest if none is active.

        Raises:
            LookupError: there is no key for that purpose.
        """
        candidates = self._by_purpose[purpose]
        for loaded in candidates:
            if loaded.key.active_ms <= now_ms:
                return loaded
        if not candidates:
            raise LookupError(f"no signing key for {purpose} tokens")
        return candidates[-1]

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """Return the key set that verifies session tokens (RFC 7517), without shared secrets."""
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
    """Generate a key. RS256 (2048 bits) takes about a tenth of a second: call it in a thread."""
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
    """Generate the name of a key: its purpose and twelve hexadecimal digits."""
    return f"{purpose}-{random_bytes(6).hex()}"


def is_kid(name: object, purpose: Purpose) -> bool:
    """Whether the name has the form of a key of this room for that kind of token."""
    return isinstance(name, str) and re.fullmatch(f"{purpose}-[0-9a-f]{{12}}", name) is not None


@lru_cache(maxsize=64)
def load_key(key: SigningKey) -> LoadedKey:
    """Parse a key. Cached, because an RSA key takes 40 ms and every rotation creates a new ring.

    Raises:
        ValueError: the secret does not fit the algorithm.
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
        raise ValueError(  # noqa: TRY004 - the file contains a wrong key; the caller's types are right
            f"key {key.kid} has a type that cannot sign {key.algorithm} tokens"
        )
    jwk.pop("key_ops", None)
    jwk.update(kid=key.kid, use="sig", alg=str(key.algorithm))
    return LoadedKey(key, private, private.public_key(), jwk)
