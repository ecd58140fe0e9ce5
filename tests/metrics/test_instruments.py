"""Instruments and tallies: counts by size, and labels that cannot grow without end."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from wr.metrics import queue_metrics, server_metrics
from wr.metrics.catalogue import METRICS, MetricKind
from wr.metrics.exposition import spell
from wr.metrics.instruments import Histogram
from wr.metrics.process_metrics import ProcessMetrics, QueueReading, Readings, snapshot
from wr.metrics.server_metrics import HttpMetrics, RoundTrip, ScriptTally, known_method

BOUNDS = (1.0, 2.5, 10.0)


@given(st.lists(st.floats(min_value=0, max_value=100)))
def test_a_histogram_counts_each_value_once_at_the_first_bound_that_is_not_below_it(
    values: list[float],
) -> None:
    histogram = Histogram(BOUNDS)
    for value in values:
        histogram.observe(value)
    spread = histogram.spread()
    for index, bound in enumerate(BOUNDS):
        assert sum(spread.counts[: index + 1]) == sum(value <= bound for value in values)
    assert sum(spread.counts) == len(values)
    assert spread.total == pytest.approx(sum(values))


def test_what_was_copied_does_not_change_when_counting_goes_on() -> None:
    histogram = Histogram(BOUNDS)
    histogram.observe(1.0)
    spread = histogram.spread()
    histogram.observe(1.0)
    assert (spread.counts, spread.total) == ((1, 0, 0, 0), 1.0)


def test_bounds_ascend_in_every_histogram() -> None:
    found = [
        value
        for module in (queue_metrics, server_metrics)
        for name, value in vars(module).items()
        if "BOUNDS" in name
    ]
    assert len(found) == 5
    for bounds in found:
        assert all(lower < upper for lower, upper in itertools.pairwise(bounds))


def test_metrics_are_named_as_prometheus_wants_them() -> None:
    for metric in METRICS:
        assert metric.name.startswith("wr_")
        assert metric.name.endswith("_total") == (metric.kind is MetricKind.COUNTER)
        assert metric.help[0].isupper() or metric.help[0].isdigit()
        assert not metric.help.endswith(".")
        assert "|" not in metric.help
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_a_request_takes_the_time_from_its_beginning_to_its_note() -> None:
    times = iter([10.0, 10.25])
    metrics = HttpMetrics(lambda: next(times))
    assert metrics.note("/health", "GET", 200, metrics.now_s()) == 0.25
    assert metrics.counts() == [(("/health", "GET", "200"), 1)]
    ((labels, spread),) = metrics.seconds()
    assert (labels, spread.total) == (("/health", "GET"), 0.25)


def test_the_times_of_a_route_are_those_of_all_its_statuses() -> None:
    metrics = HttpMetrics(lambda: 0.003)
    for status in (200, 200, 404):
        metrics.note("/health", "GET", status, 0.0)
    metrics.note("/other", "GET", 200, -1.0)
    found = dict(metrics.seconds())
    spread = found["/health", "GET"]
    assert [(bound, count) for bound, count in zip(spread.bounds, spread.counts, strict=False) if count] == [
        (0.005, 3)
    ]
    assert spread.total == pytest.approx(0.009)
    assert found["/other", "GET"].total == pytest.approx(1.003)


def test_methods_that_clients_make_up_are_one() -> None:
    assert [known_method(method) for method in ("GET", "BREW", "get", "")] == ["GET", *["other"] * 3]


@pytest.mark.parametrize(
    ("raised", "errors"), [(None, 0), (ValueError("no"), 1), (KeyboardInterrupt(), 0), (GeneratorExit(), 0)]
)
def test_a_call_that_fails_is_an_error_and_one_that_is_cancelled_is_none(
    raised: BaseException | None, errors: int
) -> None:
    tally = ScriptTally()
    times = iter([1.0, 1.5])
    trip = RoundTrip(tally, lambda: next(times))
    trip.__enter__()
    trip.__exit__(type(raised) if raised else None, raised, None)
    assert (tally.round_trips, tally.errors, tally.seconds.spread().total) == (1, errors, 0.5)


def test_whatever_a_label_holds_can_be_read_back() -> None:
    metrics = ProcessMetrics(lambda: 0.0)
    odd = 'a"b\\c\nd'
    metrics.queues.of(odd).joins += 2
    readings = Readings("1", "3", (QueueReading(odd, 1, 2, 3, 0.5),), {"websocket": 4})
    text, content_type = spell(snapshot(metrics, readings), "")
    assert content_type.startswith("text/plain")
    found = {
        (sample.name, sample.labels.get("queue")): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }
    assert found["wr_queue_joins_total", odd] == 2
    assert found["wr_queue_active", odd] == 2
    assert found["wr_queue_admission_rate", odd] == 0.5
