"""Tokens signed with HS256 in their compact form (RFC 7515, section 7.1): made and checked in a few steps.

The general library takes 110 µs to verify a token and 25 to sign one, most of it for what never changes: the
header is parsed, its algorithm looked up, the payload turned from JSON into a dict and checked claim by
claim. A token that this process or a replica has signed begins with one of a few headers, letter by letter;
behind those nothing needs to be asked but whether the signature is right, which takes 3 µs. Whatever begins
otherwise is the library's to judge.
"""

from binascii import a2b_base64, b2a_base64
from hmac import compare_digest

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC


class CompactSigner:
    """Signs and verifies with one shared secret.

    It is kept ready, and copied for each token: to set one up takes twice as long as to use it.
    """

    __slots__ = ("_begun", "header")

    def __init__(self, kid: str, secret: bytes) -> None:
        self._begun = HMAC(secret, SHA256())
        header = msgspec.json.encode({"alg": "HS256", "kid": kid, "typ": "JWT"})
        self.header = _encoded(header).decode()
        """How each of its tokens begins, up to the first dot."""

    def sign(self, payload: bytes) -> str:
        """Sign a JSON payload."""
        signed = self.header.encode() + b"." + _encoded(payload)
        return (signed + b"." + self._signature(signed)).decode()

    def verified_payload(self, token: str) -> bytes | None:
        """Give the JSON payload of a token in compact form; None when its signature is not right.

        Raises:
            ValueError: the token is not ASCII, or its payload no base64.
        """
        signed, _, signature = token.encode("ascii").rpartition(b".")
        if not compare_digest(signature, self._signature(signed)):
            return None
        return a2b_base64(signed[len(self.header) + 1 :].translate(_FROM_URL_SAFE) + b"==")

    def _signature(self, signed: bytes) -> bytes:
        mac = self._begun.copy()
        mac.update(signed)
        return _encoded(mac.finalize())


_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_FROM_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def _encoded(data: bytes) -> bytes:
    return b2a_base64(data, newline=False).rstrip(b"=").translate(_TO_URL_SAFE)
