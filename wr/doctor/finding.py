"""What a check found."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How good a finding is."""

    GOOD = "✓"
    UNSURE = "!"
    """It works, but somebody should look at it; or nobody can tell."""
    BAD = "✗"
    """It has to be mended."""


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was looked at, what was found and, when it is not good, what to mend."""

    verdict: Severity
    subject: str
    found: str
    mend: str = ""

    @property
    def is_bad(self) -> bool:
        """Whether it has to be mended."""
        return self.verdict is Severity.BAD

    def __str__(self) -> str:
        mend = f" → {self.mend}" if self.mend else ""
        return f"{self.verdict} {self.subject:<16} {self.found}{mend}"


def good(subject: str, found: str) -> Finding:
    """Find something good."""
    return Finding(Severity.GOOD, subject, found)


def unsure(subject: str, found: str, mend: str) -> Finding:
    """Find something that somebody should look at."""
    return Finding(Severity.UNSURE, subject, found, mend)


def bad(subject: str, found: str, mend: str) -> Finding:
    """Find something that has to be mended."""
    return Finding(Severity.BAD, subject, found, mend)
