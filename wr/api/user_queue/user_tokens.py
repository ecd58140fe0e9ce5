"""Verifies the tokens of the site's users, if the second API is configured to require them."""

from pathlib import Path

import jwt

from wr.model.refusals import Unauthorized
from wr.model.tokens import MAX_TOKEN_LENGTH
from wr.model.verifiers import Verifier, read_verifier


class UserTokens:
    """Checks that a bearer token of the site belongs to the user of a request."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    def check(self, token: str, user_id: int) -> None:
        """Check the signature and the time of a token, and that its `sub` is the user.

        Raises:
            Unauthorized: one of these checks fails.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise Unauthorized("The user token is too long")
        try:
            payload = jwt.decode(
                token,
                self._verifier.key,
                algorithms=list(self._verifier.algorithms),
                options={"require": ["sub"], "verify_aud": False},
            )
        except (jwt.PyJWTError, UnicodeError, ValueError) as error:
            raise Unauthorized("The user token is not valid") from error
        if payload["sub"] != str(user_id):
            raise Unauthorized("The user token belongs to another user")


def read_user_key(path: Path) -> UserTokens:
    """Read the key that verifies users' tokens: a PEM public key, or a shared secret of at least 32 bytes.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file contains neither.
    """
    return UserTokens(read_verifier(path.read_bytes()))
