"""The way in: where somebody who was let in is sent."""

from urllib.parse import quote, urlsplit

TOKEN_PARAMETER = "wr_token"  # noqa: S105 - the name of a parameter
_LEFT_AS_THEY_ARE = "%/:?#[]@!$&'()*+,;=~-._"


def entry_url(target_url: str, session_token: str) -> str:
    """Add the session token to the target, in place of one that is there; the rest stays as it is.

    What is not ASCII is encoded, as a header must have it: the host as IDNA, the rest in percent.
    """
    target = urlsplit(target_url)
    kept = [part for part in target.query.split("&") if part and part.partition("=")[0] != TOKEN_PARAMETER]
    query = "&".join([*kept, f"{TOKEN_PARAMETER}={session_token}"])
    netloc = target.netloc
    if not netloc.isascii():
        before, at, place = netloc.rpartition("@")
        host, colon, port = place.partition(":")
        netloc = f"{before}{at}{host.encode('idna').decode()}{colon}{port}"
    whole = target._replace(netloc=netloc, path=target.path or "/", query=query).geturl()
    return quote(whole, safe=_LEFT_AS_THEY_ARE)
