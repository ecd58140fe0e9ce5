"""What an operator may say about how a queue's waiting page looks."""

import re
from urllib.parse import urlsplit

from wr.model.refusals import InvalidRequest

_HOST = re.compile(r"[A-Za-z0-9._\-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")
COLOR_PATTERN = "^(#[0-9a-fA-F]{6})?$"


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
