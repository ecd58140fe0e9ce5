"""The requests of `wr doctor`: one request, one answer, within 15 seconds, without following redirects."""

import ssl
from collections.abc import Mapping
from urllib.parse import urljoin

from wr.client.http_exchange import HttpAnswer, Patience, exchange, read_url

_PART_S = 5.0
_WHOLE_S = 15.0
_MOST_BYTES = 1 << 20


def led_to(url: str, location: str) -> str:
    """Resolve the `location` of an answer from `url`; empty if no request can be sent to it."""
    try:
        return read_url(urljoin(url, location)).geturl()
    except ValueError:
        return ""


def ask(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    tls: ssl.SSLContext | None = None,
    within_s: float = _WHOLE_S,
) -> HttpAnswer:
    """Send one request and read the answer, at most 1 MiB of its body.

    Connecting, TLS and each part of the answer may take 5 s, all together `within_s`.

    `tls` decides which certificates are accepted; without it, those that the system trusts.

    Raises:
        NoSecureConnection, NoAnswer: there is no answer, or no request can be sent to such a URL.
    """
    return exchange(
        url,
        patience=Patience(_PART_S, _PART_S, within_s),
        method=method,
        headers={"User-Agent": "wr-doctor", **(headers or {})},
        body=body,
        tls=tls,
        most_bytes=_MOST_BYTES,
    )
