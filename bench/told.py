"""What Locust tells of a run, as the process that started it keeps it."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Told:
    """What Locust told of a run so far, as `bench.scenarios.telling` puts it."""

    users: int = 0
    requests: int = 0
    failures: int = 0
    per_second: float = 0.0
    rows: list[dict[str, Any]] = field(default_factory=list)
    """One for each kind of request."""
    problems: list[dict[str, Any]] = field(default_factory=list)
    """What failed: `what`, `why`, `times`."""
    is_final: bool = False
    """Whether Locust has ended in order, and these are its last figures."""
    was_interrupted: bool = False
    warnings: list[str] = field(default_factory=list)
    """What Locust says against its own figures, such as that it had too little processor."""

    def take(self, figures: dict[str, Any]) -> None:
        """Replace the figures by newer ones."""
        for name, value in figures.items():
            setattr(self, name, value)
