"""What an operator may say about how a queue's waiting page looks."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta

from wr.model.refusals import InvalidRequest

_HOST = re.compile(r"[A-Za-z0-9._\-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")
COLOR_PATTERN = "^(#[0-9a-fA-F]{6})?$"

Message = Annotated[
    str,
    Meta(
        max_length=500,
        description="What the operator says to everyone in line; may be empty",
        examples=["Doors open at 10."],
    ),
]
LogoUrl = Annotated[
    str,
    Meta(
        max_length=2048, description="Picture at the top of the waiting page: an http or https URL, or empty"
    ),
]
AccentColor = Annotated[
    str,
    Meta(
        pattern=COLOR_PATTERN,
        description="Color of the progress bar and the buttons, as #rrggbb, or empty",
        examples=["#0b5fff"],
    ),
]
BackgroundColor = Annotated[
    str,
    Meta(
        pattern=COLOR_PATTERN,
        description="Color behind everything, as #rrggbb, or empty",
        examples=["#ffffff"],
    ),
]
SupportUrl = Annotated[
    str,
    Meta(
        max_length=2048,
        description="Where visitors find help: an http, https, mailto or tel URL, or empty",
        examples=["https://example.com/help"],
    ),
]
PageTemplate = Annotated[
    str,
    Meta(
        max_length=12_000,
        description="A Jinja2 template in place of the waiting page, or empty; runs sandboxed",
    ),
]


def check_addresses(logo_url: str, support_url: str) -> None:
    """Refuse addresses that a page must not carry.

    Raises:
        InvalidRequest: not a URL of the allowed schemes; `details` names the field.
    """
    if logo_url and not is_address(logo_url, ("http", "https")):
        raise InvalidRequest("logo_url must be an http or https URL, or empty", field="logo_url")
    if support_url and not is_address(support_url, ("http", "https", "mailto", "tel")):
        raise InvalidRequest(
            "support_url must be an http, https, mailto or tel URL, or empty", field="support_url"
        )


def is_address(text: str, schemes: tuple[str, ...]) -> bool:
    """Whether `text` is a URL of one of these schemes, with a host where the scheme has one."""
    # Quotes and semicolons would end what the address stands in: an attribute, a policy's directive.
    if any(character <= " " or character in "\x7f\"'<>;\\" for character in text):
        return False
    try:
        parts = urlsplit(text)
        if parts.scheme in ("http", "https"):
            # It stands in headers too, where a comma or a letter beyond ASCII means something else.
            host = parts.netloc.rpartition("@")[2]
            return parts.scheme in schemes and _HOST.fullmatch(host) is not None and parts.port != 0
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.path)
