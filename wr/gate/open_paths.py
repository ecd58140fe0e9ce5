"""Open paths: parts of the site that visitors may use without a session."""

_ODD = ("//", "\\", "%", ";", "#", "?")


def is_open(path: str, open_paths: tuple[str, ...]) -> bool:
    """Whether a path, as the client sent it, is open. An open path that ends in `*` is a prefix.

    A path that a site may read as another path is never open: with dot segments, percent-encoding, parameters
    or double slashes.
    """
    if not path.startswith("/") or any(odd in path for odd in _ODD):
        return False
    if any(segment in (".", "..") for segment in path.split("/")):
        return False
    return any(path.startswith(entry[:-1]) if entry.endswith("*") else path == entry for entry in open_paths)


def read_open_paths(spelled: str) -> tuple[str, ...]:
    """Read a list of open paths, separated by spaces.

    Raises:
        ValueError: one of them does not begin with a slash.
    """
    paths = tuple(spelled.split())
    for path in paths:
        if not path.startswith("/"):
            raise ValueError(f"an open path must begin with a slash, but {path!r} does not")
    return paths
