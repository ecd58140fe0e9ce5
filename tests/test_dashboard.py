"""The dashboard and the alerts ask for what a server really tells, by the names and labels it really uses."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml

from tests.contract.test_metrics import beyond_heartbeats
from tests.support.clock import HandClock
from tests.support.engines import Engine
from tests.support.readme import README, block
from tests.support.scrape import Scrape, scrape
from tests.support.server import running_server
from tests.support.site import Site

SCRIPTS = Path(__file__).parents[1] / "scripts"
DASHBOARD: dict[str, Any] = json.loads((SCRIPTS / "grafana-dashboard.json").read_text())
ALERTS: dict[str, Any] = yaml.safe_load((SCRIPTS / "prometheus-alerts.yml").read_text())
OF_THE_SCRAPER = {"instance", "job"}
"""Labels that Prometheus gives every sample."""


@dataclass(frozen=True)
class Asked:
    """A sample that a query asks for, and labels that it takes it to have."""

    name: str
    labels: frozenset[str]


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def dashboard_queries() -> dict[str, str]:
    return {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in panels()
        for target in panel["targets"]
    }


def alert_queries() -> dict[str, str]:
    return {rule["alert"]: rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]}


QUERIES = dashboard_queries() | alert_queries()


def asked(query: str) -> list[Asked]:
    """Every sample that a query asks for, with the labels by which it chooses, groups and matches."""
    # Grafana puts a length of time there; any will do to read the rest.
    return list(_asked(promql.parse(query.replace("$__rate_interval", "1m")), frozenset()))


def _asked(node: Any, wanted: frozenset[str]) -> Iterator[Asked]:
    match node:
        case promql.VectorSelector():
            chosen = {matcher.name for matcher in node.matchers.matchers}
            yield Asked(node.name, wanted | chosen)
        case promql.MatrixSelector():
            yield from _asked(node.vector_selector, wanted)
        case promql.AggregateExpr():
            # An outer grouping can only have what the inner one left.
            yield from _asked(node.expr, wanted | set(node.modifier.labels if node.modifier else ()))
        case promql.Call():
            for argument in node.args:
                yield from _asked(argument, wanted)
        case promql.BinaryExpr():
            matching = node.modifier.matching if node.modifier else None
            more = wanted | set(matching.labels if matching else ())
            yield from _asked(node.lhs, more)
            yield from _asked(node.rhs, more)
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            yield from _asked(node.expr, wanted)
        case promql.NumberLiteral() | promql.StringLiteral():
            pass
        case _:
            raise AssertionError(f"a query with {node!r}: teach this test to read it")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Scrape:
    """What a real server tells after some traffic."""
    settings = {"data_dir": str(tmp_path_factory.mktemp("dashboard")), "limit_heartbeat": "3/60"}
    clock = HandClock()
    with running_server(clock, **settings) as ready:
        site = Site(ready.url, ready.admin_key, clock, Engine("embedded", ""), "wr")
        with site.http:
            _queue_id, act = beyond_heartbeats(site)
            act()
            return scrape(site.http)


@pytest.mark.parametrize("name", QUERIES)
def test_every_sample_that_is_asked_for_is_told_with_the_labels_it_is_asked_by(
    told: Scrape, name: str
) -> None:
    found = asked(QUERIES[name])
    assert found
    for each in found:
        if each.name == "up":
            assert each.labels <= OF_THE_SCRAPER, "Prometheus tells of it itself"
            continue
        assert each.name in told.labels, f"{each.name} is not told"
        assert each.labels - OF_THE_SCRAPER <= told.labels[each.name], each


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('wr_a{queue="x"}', [Asked("wr_a", frozenset({"queue"}))]),
        (
            "sum by (le, q) (rate(wr_b_bucket[$__rate_interval]))",
            [Asked("wr_b_bucket", frozenset({"le", "q"}))],
        ),
        (
            'a{x="1"} / on (y) sum by (z) (b) > 0',
            [Asked("a", frozenset({"x", "y"})), Asked("b", frozenset({"y", "z"}))],
        ),
        ("time() - c", [Asked("c", frozenset())]),
        ("max_over_time((-d)[5m:1m])", [Asked("d", frozenset())]),
    ],
)
def test_the_reading_of_queries_finds_names_and_labels(query: str, expected: list[Asked]) -> None:
    assert asked(query) == expected


def test_a_query_that_prometheus_could_not_read_is_found() -> None:
    with pytest.raises(ValueError, match="paren"):
        asked("sum by (queue) (rate(wr_queue_joins_total[5m])")


def test_every_metric_that_is_told_is_in_the_readme_and_on_the_dashboard(told: Scrape) -> None:
    ours = {name for name in told.metrics if name.startswith("wr_")}
    table = block(README.read_text(), "metrics") or ""
    assert ours == set(re.findall(r"^\| `(wr_\w+)` \|", table, re.MULTILINE))
    shown = {
        re.sub(r"_(bucket|sum|count)$", "", each.name) for query in QUERIES.values() for each in asked(query)
    }
    assert ours - shown == set()


def test_the_dashboard_has_its_rows_and_lets_one_choose_source_and_queue() -> None:
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == ["The line", "The room", "HTTP", "Store", "Process", "Events"]
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert {"queue", "instance"} <= set(variables)
    assert DASHBOARD["schemaVersion"] >= 39


def test_each_variable_is_filled_from_a_label_that_is_told(told: Scrape) -> None:
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
            assert found is not None
            assert found[2] in told.labels[found[1]] | OF_THE_SCRAPER


def test_every_variable_in_a_query_is_one_that_the_dashboard_has() -> None:
    known = {variable["name"] for variable in DASHBOARD["templating"]["list"]} | {"__rate_interval"}
    for query in dashboard_queries().values():
        assert set(re.findall(r"\$(\w+)", query)) <= known


def test_every_panel_has_its_own_number_and_place_and_the_chosen_source() -> None:
    places: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        covered = {
            (x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
        }
        assert not covered & places, panel["title"]
        assert at["x"] + at["w"] <= 24
        places |= covered
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
    for panel in panels():
        assert panel["description"]
        for part in (panel, *panel["targets"]):
            assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_every_alert_says_how_bad_it_is_and_what_is_the_matter() -> None:
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("critical", "warning")
            assert rule["annotations"]["summary"].endswith((".", "?"))
            assert rule["for"]
