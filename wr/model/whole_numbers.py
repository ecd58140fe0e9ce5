"""Numbers on the wire: whole ones without a fraction, as the contract's examples have them."""

from typing import Any


def plain(value: float) -> float:
    """Give a whole number as one, so that JSON has `20` and not `20.0`; any other stays.

    Clients in languages that tell integers from fractions refuse the latter where they expect the former.
    """
    return int(value) if isinstance(value, float) and value.is_integer() else value


def plain_numbers(value: Any) -> Any:
    """Give lists and dictionaries, as JSON has them, with whole numbers as such."""
    if isinstance(value, dict):
        return {name: plain_numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain_numbers(each) for each in value]
    return plain(value)
