"""Idempotency keys: let a visitor repeat a join whose answer was lost, and get the same place."""

import re
from collections.abc import Mapping
from hashlib import blake2b

import msgspec

from wr.model.refusals import InvalidRequest

HEADER = "Idempotency-Key"
SHORTEST, LONGEST = 16, 128
_KEY = re.compile(rf"[\x21-\x7e]{{{SHORTEST},{LONGEST}}}")


def retry_of(key: str, meaning: Mapping[str, object]) -> bytes:
    """Return the store's record of a join with this `Idempotency-Key`: digests of the key (16 bytes) and of
    the request (8 bytes). The key cannot be read from them. About 3 µs.

    The key may be in quotes, as in the draft of the header, or without.

    Raises:
        InvalidRequest: the key is not 16 to 128 visible ASCII characters.
    """
    plain = key[1:-1] if len(key) > 1 and key[0] == key[-1] == '"' else key
    if _KEY.fullmatch(plain) is None:
        raise InvalidRequest(
            f"{HEADER} must be {SHORTEST} to {LONGEST} visible ASCII characters, which nobody else can guess",
            field=HEADER,
        )
    asked = msgspec.json.encode(meaning, order="deterministic")
    return (
        blake2b(plain.encode(), digest_size=16, person=b"wr join key").digest()
        + blake2b(asked, digest_size=8, person=b"wr join meaning").digest()
    )
