"""What a server tells Prometheus, read as Prometheus reads it."""

from dataclasses import dataclass
from functools import cached_property

import httpx
from prometheus_client.parser import text_string_to_metric_families

_OF_HISTOGRAMS = ("_bucket", "_count", "_sum")


@dataclass(frozen=True)
class Scrape:
    """Every sample of one answer of `/metrics`."""

    text: str

    @cached_property
    def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Values by name and labels."""
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
        }

    @cached_property
    def labels(self) -> dict[str, set[str]]:
        """The labels that samples have, by the samples' name."""
        found: dict[str, set[str]] = {}
        for name, labels in self.samples:
            found.setdefault(name, set()).update(label for label, _ in labels)
        return found

    @property
    def metrics(self) -> set[str]:
        """The names of all metrics as the README has them: without what a histogram's samples add."""
        names = set()
        for family in text_string_to_metric_families(self.text):
            names.add(f"{family.name}_total" if family.type == "counter" else family.name)
        return names

    def value(self, name: str, **labels: str) -> float:
        """The sample of that name and exactly these labels."""
        return self.samples[name, frozenset(labels.items())]

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples of that name that have these labels, and perhaps others; 0 for none."""
        wanted = set(labels.items())
        return sum(value for (each, found), value in self.samples.items() if each == name and wanted <= found)

    def values_of(self, label: str) -> set[str]:
        """Every value that a label has anywhere."""
        return {value for _, labels in self.samples for each, value in labels if each == label}


def scrape(http: httpx.Client, **headers: str) -> Scrape:
    """Ask a server as Prometheus does."""
    answer = http.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    return Scrape(answer.text)
