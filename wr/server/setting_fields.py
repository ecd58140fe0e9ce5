"""Declares one setting of the server: its default, help text, reader and group, in the field's metadata.

The tables of settings (`network_settings.py`, `store_settings.py`, …) are dataclasses whose fields are made
here; `settings.py` puts them together and reads them from flags and the environment.
"""

from dataclasses import field
from enum import StrEnum
from typing import Any


class Group(StrEnum):
    """The headings of the settings in help texts and in the README, in that order."""

    NETWORK = "Network"
    STORE = "Store"
    ADMIN = "Admin and origin keys"
    LIMITS = "Rate limits (10/60 allows ten in 60 seconds, 0 means no limit)"
    ADMISSION = "Admission"
    TOKENS = "Tokens"
    EVENTS = "Events"
    RUNNING = "Running"


def setting(
    default: Any, help_text: str, read: Any = str, *, group: Group, form: str = "TEXT", also: str = ""
) -> Any:
    """Declare a setting.

    `form` shows what a value looks like. `read` turns text into a value and raises ValueError if it cannot.
    `also` names a variable without the prefix `WR_` that hosting platforms set. The server reads it if the
    setting's own variable is not set.
    """
    described = {"help": help_text, "read": read, "group": group, "form": form, "also": also}
    return field(default=default, metadata=described)
