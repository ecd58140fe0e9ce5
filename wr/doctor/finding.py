"""The result of a check: how severe it is, what was found, and how to fix it."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How severe a finding is."""

    GOOD = "✓"
    UNSURE = "!"
    """A warning: it works but may cause trouble, or it cannot be checked."""
    BAD = "✗"
    """An error that the operator must fix."""


@dataclass(frozen=True)
class Finding:
    """One line of the report: the subject, what was found and, unless it is good, how to fix it."""

    severity: Severity
    subject: str
    found: str
    fix: str = ""

    @property
    def is_bad(self) -> bool:
        """Whether it is an error that the operator must fix."""
        return self.severity is Severity.BAD

    def __str__(self) -> str:
        fix = f" → {self.fix}" if self.fix else ""
        return f"{self.severity} {self.subject:<16} {self.found}{fix}"


def good(subject: str, found: str) -> Finding:
    """Make a finding without a problem."""
    return Finding(Severity.GOOD, subject, found)


def unsure(subject: str, found: str, fix: str) -> Finding:
    """Make a warning."""
    return Finding(Severity.UNSURE, subject, found, fix)


def bad(subject: str, found: str, fix: str) -> Finding:
    """Make an error."""
    return Finding(Severity.BAD, subject, found, fix)
