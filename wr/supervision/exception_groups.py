"""Takes one exception out of the groups that nurseries put exceptions into."""

from typing import TypeVar

E = TypeVar("E", bound=BaseException)


def first_of(group: BaseExceptionGroup[E]) -> E:
    """Return the first exception of a group, however deep the groups in it are nested."""
    error: E | BaseExceptionGroup[E] = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
