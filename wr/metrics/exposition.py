"""Writes a snapshot of the metrics in Prometheus's text format.

Import this module at the first scrape and in a worker thread: its library takes 30 ms and 1 MiB. Writing
thousands of samples takes a while too.
"""

import math
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from wr.metrics.catalogue import Metric, MetricKind
from wr.metrics.instruments import Spread
from wr.metrics.process_metrics import Samples


class _Snapshot(Collector):
    """A snapshot in the form that the library needs."""

    def __init__(self, snapshot: list[tuple[Metric, Samples]]) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Family]:
        """Turn the metrics into the library's families. The library calls it."""
        for metric, samples in self._snapshot:
            yield _family(metric, samples)


def spell(snapshot: list[tuple[Metric, Samples]], accept: str) -> tuple[bytes, str]:
    """Write a snapshot, and the operating system's figures about the process, as text.

    Returns the text and its content type: OpenMetrics if the `Accept` header asks for it, else the Prometheus
    format. Blocks, so call it in a thread.
    """
    # A new registry for each call, because the library's global one would keep deleted queues for ever.
    registry = CollectorRegistry()
    registry.register(_Snapshot(snapshot))
    ProcessCollector(registry=registry)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def _family(metric: Metric, samples: Samples) -> Family:
    if metric.kind is MetricKind.HISTOGRAM:
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, value in samples:
            if isinstance(value, Spread):
                histogram.add_metric(labels, _buckets(value), value.total)
        return histogram
    family: CounterMetricFamily | GaugeMetricFamily
    if metric.kind is MetricKind.COUNTER:
        family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    else:
        family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in samples:
        if not isinstance(value, Spread):
            family.add_metric(labels, value)
    return family


def _buckets(spread: Spread) -> list[tuple[str, float]]:
    """Return cumulative counts, as the format needs them."""
    # The library's function has no type annotations.
    bounds = [str(floatToGoString(bound)) for bound in (*spread.bounds, math.inf)]  # type: ignore[no-untyped-call]
    return list(zip(bounds, accumulate(spread.counts), strict=True))
