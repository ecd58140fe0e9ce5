"""Keys that verify signatures of the site, each with the only algorithms that are accepted with it."""

from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

SHORTEST_SECRET = 32
_OF_CURVE = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
"""The algorithm of each curve (RFC 7518, section 3.4)."""


class Verifier(msgspec.Struct, frozen=True):
    """A key of the site, or of this room, and the algorithms that are accepted with it."""

    key: Any
    """In PyJWT's form: the bytes of a shared secret, or a public key."""
    algorithms: tuple[str, ...]


def read_verifier(content: bytes) -> Verifier:
    """Read a key of the site: a PEM public key, or a shared secret of at least 32 bytes.

    Raises:
        ValueError: the content is neither.
    """
    content = content.strip()
    if not content.startswith(b"-----BEGIN"):
        if len(content) < SHORTEST_SECRET:
            raise ValueError(f"a shared secret needs at least {SHORTEST_SECRET} bytes")
        return Verifier(content, ("HS256",))
    key = load_pem_public_key(content)
    if isinstance(key, rsa.RSAPublicKey):
        return Verifier(key, ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"))
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _OF_CURVE:
        return Verifier(key, (_OF_CURVE[key.curve.name],))
    if isinstance(key, ed25519.Ed25519PublicKey):
        return Verifier(key, ("EdDSA",))
    raise ValueError("not a public key of RSA, Ed25519, or the curves P-256, P-384 and P-521")
