"""Tokens of the site's own users, where the second API is told to ask for them."""

from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from wr.model.refusals import Unauthorized
from wr.model.tokens import MAX_TOKEN_LENGTH

_SHORTEST_SECRET = 32


class UserTokens:
    """Checks that a bearer token of the site names the user that a request is about."""

    def __init__(self, key: Any, algorithm: str) -> None:
        self._key = key
        self._algorithm = algorithm

    def check(self, token: str, user_id: int) -> None:
        """Check a token: its signature, its time, and that its `sub` is the user.

        Raises:
            Unauthorized: one of them is not right.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise Unauthorized("The user token is too long")
        try:
            payload = jwt.decode(
                token,
                self._key,
                algorithms=[self._algorithm],
                options={"require": ["sub"], "verify_aud": False},
            )
        except (jwt.PyJWTError, UnicodeError, ValueError) as error:
            raise Unauthorized("The user token is not valid") from error
        if payload["sub"] != str(user_id):
            raise Unauthorized("The user token is of another user")


def read_user_key(path: Path) -> UserTokens:
    """Read what verifies users' tokens: a PEM public key, or a shared secret of at least 32 bytes.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds neither.
    """
    content = path.read_bytes().strip()
    if not content.startswith(b"-----BEGIN"):
        if len(content) < _SHORTEST_SECRET:
            raise ValueError(f"a shared secret needs at least {_SHORTEST_SECRET} bytes")
        return UserTokens(content, "HS256")
    key = load_pem_public_key(content)
    if isinstance(key, rsa.RSAPublicKey):
        return UserTokens(key, "RS256")
    if isinstance(key, ec.EllipticCurvePublicKey):
        return UserTokens(key, "ES256")
    if isinstance(key, ed25519.Ed25519PublicKey):
        return UserTokens(key, "EdDSA")
    raise ValueError("it holds no RSA, EC or Ed25519 public key")
