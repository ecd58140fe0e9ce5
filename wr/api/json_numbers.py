"""Numbers in JSON: it knows one kind only (RFC 8259, section 6), so `1.0` is the integer 1."""

import math
from decimal import Decimal
from typing import TypeVar

import msgspec

_LONGEST_LITERAL = 40
_MOST_DIGITS = 19
"""Digits before the point of the largest 64-bit integer."""
Message = TypeVar("Message", bound=msgspec.Struct)


def decode_whole_numbers(decoder: msgspec.json.Decoder[Message], text: str, kind: type[Message]) -> Message:
    """Read a message of `kind`, in which integers may be spelled with a fraction of zero, or an exponent.

    Only where the decoder has refused such a spelling is the text read again, at several times the cost.

    Raises:
        msgspec.ValidationError: it is not valid all the same.
        msgspec.DecodeError: it is no JSON.
        RecursionError: it is nested too deeply.
    """
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        if not str(error).startswith("Expected `int`, got `float`"):
            raise
        return msgspec.convert(_numbers.decode(text), kind)


def _number(literal: str) -> float:
    """Read a number that is spelled with a fraction or an exponent."""
    if len(literal) <= _LONGEST_LITERAL:
        exact = Decimal(literal)
        # By its size first: to write out 1e999999 takes a while.
        if exact.adjusted() < _MOST_DIGITS and exact == exact.to_integral_value():
            return int(exact)
    value = float(literal)
    if math.isinf(value):
        raise ValueError("Number out of range")
    return value


_numbers: msgspec.json.Decoder[object] = msgspec.json.Decoder(float_hook=_number)
