"""Reads durations on the command line, such as `90s`, `30m`, `2h` or `7d`."""

import re
from typing import Any

import click

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d{1,9})([smhd])")


class Duration(click.ParamType[int]):
    """A whole number with its unit, such as 90s, 30m, 2h or 7d. The value is in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read a duration. A failure shows what a duration looks like."""
        if isinstance(value, int):
            return value
        match = _DURATION.fullmatch(str(value).strip())
        seconds = int(match[1]) * _UNITS[match[2]] if match else 0
        if seconds < 1:
            self.fail(f"'{value}' is not a duration such as 90s, 30m, 2h or 7d", param, ctx)
        return seconds
