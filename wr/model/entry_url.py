"""The URL to which an admitted visitor is sent: the queue's target with the session token."""

from urllib.parse import quote, urlsplit

TOKEN_PARAMETER = "wr_token"  # noqa: S105 - the name of a parameter
_LONGEST_WAY_BACK = 2048
_LEFT_AS_THEY_ARE = "%/:?#[]@!$&'()*+,;=~-._"


def entry_url(target_url: str, session_token: str, back: str = "") -> str:
    """Add the session token to the target. Replaces a token that is there; the rest stays as it is.

    `back`, a path with a query, replaces the target's path and query if it is a path of the target's site.

    Characters outside ASCII are encoded, so that the URL fits a header: the host as IDNA, the rest in
    percent.
    """
    target = urlsplit(target_url)
    if is_way_back(back):
        path, _, query = back.partition("#")[0].partition("?")
        target = target._replace(path=path, query=query, fragment="")
    kept = [part for part in target.query.split("&") if part and part.partition("=")[0] != TOKEN_PARAMETER]
    query = "&".join([*kept, f"{TOKEN_PARAMETER}={session_token}"])
    netloc = target.netloc
    if not netloc.isascii():
        before, at, place = netloc.rpartition("@")
        host, colon, port = place.partition(":")
        netloc = f"{before}{at}{host.encode('idna').decode()}{colon}{port}"
    whole = target._replace(netloc=netloc, path=target.path or "/", query=query).geturl()
    return quote(whole, safe=_LEFT_AS_THEY_ARE)


def is_way_back(back: str) -> bool:
    """Whether this is a path of the same site.

    For browsers, two slashes or a backslash start another host.
    """
    return (
        back.startswith("/")
        and not back.startswith("//")
        and "\\" not in back
        and all(" " < character != "\x7f" for character in back)
        and len(back) <= _LONGEST_WAY_BACK
    )
