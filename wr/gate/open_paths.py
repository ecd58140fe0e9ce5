"""Paths of the site that nobody has to wait for."""

_ODD = ("//", "\\", "%", ";", "#", "?")


def is_open(path: str, open_paths: tuple[str, ...]) -> bool:
    """Whether a path, as it was sent, is one of these; one that ends in `*` is all that begins so.

    A path that some site reads as another one never is: with dot segments, escapes, parameters, two slashes.
    """
    if not path.startswith("/") or any(odd in path for odd in _ODD):
        return False
    if any(segment in (".", "..") for segment in path.split("/")):
        return False
    return any(path.startswith(each[:-1]) if each.endswith("*") else path == each for each in open_paths)


def read_open_paths(spelled: str) -> tuple[str, ...]:
    """Read paths that are separated by spaces.

    Raises:
        ValueError: one of them does not begin with a slash.
    """
    paths = tuple(spelled.split())
    for path in paths:
        if not path.startswith("/"):
            raise ValueError(f"an open path begins with a slash, and {path!r} does not")
    return paths
