"""Reads a server's metrics as Prometheus does."""

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
        """The labels of samples, by the name of the sample."""
        found: dict[str, set[str]] = {}
        for name, labels in self.samples:
            found.setdefault(name, set()).update(label for label, _ in labels)
        return found

    @property
    def metrics(self) -> set[str]:
        """The names of all metrics as in the README, without the suffixes of a histogram's samples."""
        names = set()
        for family in text_string_to_metric_families(self.text):
            names.add(f"{family.name}_total" if family.type == "counter" else family.name)
        return names

    def value(self, name: str, **labels: str) -> float:
        """The sample with that name and exactly these labels."""
        return self.samples[name, frozenset(labels.items())]

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples with that name and at least these labels; 0 if there are none."""
        wanted = set(labels.items())
        return sum(value for (each, found), value in self.samples.items() if each == name and wanted <= found)

    def values_of(self, label: str) -> set[str]:
        """All values of a label."""
        return {value for _, labels in self.samples for each, value in labels if each == label}


def scrape(http: httpx.Client, **headers: str) -> Scrape:
    """Read the metrics of a server."""
    answer = http.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    return Scrape(answer.text)
