"""Turns whole floats into integers for JSON, as in the contract's examples (`20`, not `20.0`)."""

from typing import Any


def plain(value: float) -> float:
    """Turn a whole float into an integer, so that JSON has `20` and not `20.0`. Other numbers stay.

    Clients in languages with separate types refuse a fraction if they expect an integer.
    """
    return int(value) if isinstance(value, float) and value.is_integer() else value


def plain_numbers(value: Any) -> Any:
    """Turn all whole floats within lists and dictionaries into integers."""
    if isinstance(value, dict):
        return {name: plain_numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain_numbers(each) for each in value]
    return plain(value)
