"""How a sound conversation is made into one that no client would have: pure, and the same for one seed."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from tests.hostile.fuzzing.corpus import Sample

LONGEST = 256 * 1024
"""Bytes of one case. What is longer tells nothing more and takes long to send."""
_MOST_CHANGES = 4
_NUMBERS = (
    *(b"0", b"-1", b"+1", b"00", b"1e9", b"0x10", b"1.5", b"NaN", b"65535", b"65536", b"2147483648"),
    *(b"4294967296", b"9007199254740993", b"9223372036854775808", b"18446744073709551616", b"9" * 400),
)
_PIECES = (
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\0", b" ", b"\t", b":", b",", b";", b"=", b"%", b"%00", b"%ff"),
    *(b"\xff", b"\x80", b"\xc3\x28", b"\xef\xbb\xbf", b"{", b"[" * 600, b'"', b"\\u0000", b"\\ud800"),
    *(b"../", b"//", b"?", b"#", b"*", b"\x7f", b"Connection: close\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"Content-Length: 5\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n", b"0\r\n\r\n", b"HTTP/1.1"),
    *(
        b"\x00\x00\x00\x04\x01\x00\x00\x00\x00",
        b"\x81\xfe\xff\xff",
        b"\x89\xfd",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ),
)
_NUMBER = re.compile(rb"\d+")
_FIELD = re.compile(rb"(?m)^([A-Za-z-]+): ")

MANNERS = {
    "whole": 25,
    "hang up": 12,
    "end": 12,
    "pieces": 12,
    "drip": 8,
    "reset": 8,
    "half": 8,
    "deaf": 15,
}
"""How a case can be sent (see `delivery`), and how often of a hundred times."""


@dataclass(frozen=True)
class Case:
    """What one connection sends: `opening`, whose answer is waited for, then `stream`, in some manner."""

    name: str
    """Seed, target and number, from which the case can be made again, and the sample it was made of."""
    opening: bytes
    stream: bytes
    manner: str


def make_case(seed: int, target: str, number: int, samples: Sequence[Sample]) -> Case:
    """Make a case of this number; the same for the same arguments."""
    random = Random(f"{seed} {target} {number}")
    sample = random.choice(samples)
    parts, opening = list(sample.parts), sample.opening
    for _ in range(random.randint(0, _MOST_CHANGES)):
        if random.random() < 0.4:
            _change_parts(random, parts, samples)
        else:
            place = random.randrange(len(parts))
            parts[place] = _changed(random, parts[place], samples)
    if opening and random.random() < 0.1:
        opening = _changed(random, opening, samples)
    (manner,) = random.choices(list(MANNERS), list(MANNERS.values()))
    name = f"{seed} {target} {number}: {sample.name}, {manner}"
    return Case(name, opening, b"".join(parts)[:LONGEST], manner)


def _change_parts(random: Random, parts: list[bytes], samples: Sequence[Sample]) -> None:
    place = random.randrange(len(parts))
    kind = random.randrange(5)
    if kind == 0:
        parts[place:place] = [parts[place]] * random.choice((1, 2, 10, 100))
    elif kind == 1 and len(parts) > 1:
        del parts[place]
    elif kind == 2:
        random.shuffle(parts)
    elif kind == 3:
        parts.extend(random.choice(samples).parts)
    else:
        parts[place:place] = [random.choice(random.choice(samples).parts)]


def _changed(random: Random, data: bytes, samples: Sequence[Sample]) -> bytes:
    other = random.choice(random.choice(samples).parts)
    return random.choice(_CHANGES)(random, data, other)


def _place(random: Random, data: bytes) -> int:
    return random.randint(0, len(data))


def _cut(random: Random, data: bytes, other: bytes) -> bytes:
    return data[: _place(random, data)]


def _leave_out(random: Random, data: bytes, other: bytes) -> bytes:
    start = _place(random, data)
    return data[:start] + data[start + random.choice((1, 2, 5, 20)) :]


def _flip(random: Random, data: bytes, other: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8)) if data else 0):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _overwrite(random: Random, data: bytes, other: bytes) -> bytes:
    start = _place(random, data)
    piece = random.choice((random.choice(_PIECES), random.randbytes(random.choice((1, 4, 16)))))
    return data[:start] + piece + data[start + len(piece) :]


def _insert(random: Random, data: bytes, other: bytes) -> bytes:
    start = _place(random, data)
    piece = random.choice((random.choice(_PIECES), random.randbytes(random.choice((1, 4, 16, 300)))))
    return data[:start] + piece * random.choice((1, 1, 1, 2, 50)) + data[start:]


def _duplicate(random: Random, data: bytes, other: bytes) -> bytes:
    start = _place(random, data)
    end = start + random.choice((1, 5, 50, 500))
    return data[:end] + data[start:end] * random.choice((1, 2, 20)) + data[end:]


def _splice(random: Random, data: bytes, other: bytes) -> bytes:
    return data[: _place(random, data)] + other[_place(random, other) :]


def _number(random: Random, data: bytes, other: bytes) -> bytes:
    found = list(_NUMBER.finditer(data))
    if not found:
        return _overwrite(random, data, other)
    which = random.choice(found)
    return data[: which.start()] + random.choice(_NUMBERS) + data[which.end() :]


def _spelling(random: Random, data: bytes, other: bytes) -> bytes:
    found = list(_FIELD.finditer(data))
    if not found or random.random() < 0.3:
        return data.replace(
            b"\r\n", random.choice((b"\n", b"\r", b"\r\r\n", b" \r\n", b"\r\n ")), random.choice((1, -1))
        )
    which = random.choice(found)
    name = which[1]
    odd = random.choice(
        (name.upper(), name.lower(), b" " + name, name + b" ", name.replace(b"-", b"_"), b"X-" + name)
    )
    colon = random.choice((b": ", b":", b" : ", b":\t", b": \x0b", b""))
    return data[: which.start()] + odd + colon + data[which.end() :]


def _lengthen(random: Random, data: bytes, other: bytes) -> bytes:
    start = _place(random, data)
    return data[:start] + data[start : start + 1] * random.choice((300, 9_000, 70_000)) + data[start:]


_CHANGES: tuple[Callable[[Random, bytes, bytes], bytes], ...] = (
    *(_cut, _leave_out, _flip, _flip, _overwrite, _insert, _insert),
    *(_duplicate, _splice, _number, _number, _spelling, _lengthen),
)
