"""The figures of a run that Locust reports to the process that started it."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Told:
    """The latest figures of a run, in the form of `bench.scenarios.telling`."""

    users: int = 0
    requests: int = 0
    failures: int = 0
    per_second: float = 0.0
    rows: list[dict[str, Any]] = field(default_factory=list)
    """One row for each kind of request."""
    problems: list[dict[str, Any]] = field(default_factory=list)
    """Failures, each with `what`, `why` and `times`."""
    is_final: bool = False
    """Whether Locust has ended normally, and these are its last figures."""
    was_interrupted: bool = False
    warnings: list[str] = field(default_factory=list)
    """Locust's own doubts about its figures, such as too little processor time."""

    def take(self, figures: dict[str, Any]) -> None:
        """Replace the figures with newer ones."""
        for name, value in figures.items():
            setattr(self, name, value)
