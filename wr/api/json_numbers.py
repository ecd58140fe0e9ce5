"""Accepts integers written like `1.0`, because JSON has only one kind of number (RFC 8259, section 6)."""

import math
from decimal import Decimal
from typing import TypeVar

import msgspec

_LONGEST_LITERAL = 40
_MOST_DIGITS = 19
"""Digits before the point of the largest 64-bit integer."""
Message = TypeVar("Message", bound=msgspec.Struct)


def decode_whole_numbers(decoder: msgspec.json.Decoder[Message], text: str, kind: type[Message]) -> Message:
    """Decode a message of `kind`. Its integers may be written like `1.0` or `1e3`.

    If the decoder refuses such a number, the text is decoded again, at several times the cost.

    Raises:
        msgspec.ValidationError: the message is not valid.
        msgspec.DecodeError: the text is not JSON.
        RecursionError: the text is nested too deeply.
    """
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        if not str(error).startswith("Expected `int`, got `float`"):
            raise
        return msgspec.convert(_numbers.decode(text), kind)


def _number(literal: str) -> float:
    """Read a number with a fraction or an exponent. Returns an int if it is whole."""
    if len(literal) <= _LONGEST_LITERAL:
        exact = Decimal(literal)
        # Check the size first, because converting 1e999999 to an int is slow.
        if exact.adjusted() < _MOST_DIGITS and exact == exact.to_integral_value():
            return int(exact)
    value = float(literal)
    if math.isinf(value):
        raise ValueError("Number out of range")
    return value


_numbers: msgspec.json.Decoder[object] = msgspec.json.Decoder(float_hook=_number)
