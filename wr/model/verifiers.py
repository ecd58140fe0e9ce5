"""What checks signatures of the site: a key, and the only algorithms that count with it."""

from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

SHORTEST_SECRET = 32


class Verifier(msgspec.Struct, frozen=True):
    """A key of the site, or of this waiting room, and how what it checks must be signed."""

    key: Any
    """As PyJWT takes it: bytes of a shared secret, or a public key."""
    algorithms: tuple[str, ...]


def read_verifier(content: bytes) -> Verifier:
    """Read what checks tokens of the site: a PEM public key, or a shared secret of at least 32 bytes.

    Raises:
        ValueError: it is neither.
    """
    content = content.strip()
    if not content.startswith(b"-----BEGIN"):
        if len(content) < SHORTEST_SECRET:
            raise ValueError(f"a shared secret needs at least {SHORTEST_SECRET} bytes")
        return Verifier(content, ("HS256",))
    key = load_pem_public_key(content)
    if isinstance(key, rsa.RSAPublicKey):
        return Verifier(key, ("RS256",))
    if isinstance(key, ec.EllipticCurvePublicKey):
        return Verifier(key, ("ES256",))
    if isinstance(key, ed25519.Ed25519PublicKey):
        return Verifier(key, ("EdDSA",))
    raise ValueError("it holds no RSA, EC or Ed25519 public key")
