"""Numbers on the wire: whole ones without a fraction, as the contract's examples have them."""


def plain(value: float) -> float:
    """Give a whole number as one, so that JSON has `20` and not `20.0`; any other stays.

    Clients in languages that tell integers from fractions refuse the latter where they expect the former.
    """
    return int(value) if isinstance(value, float) and value.is_integer() else value
