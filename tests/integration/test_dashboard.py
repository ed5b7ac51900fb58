"""The dashboard and the server speak of the same metrics."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

pytestmark = pytest.mark.integration

GRAFANA = Path(__file__).parents[2] / "deploy" / "grafana"
DASHBOARD = json.loads((GRAFANA / "dashboards" / "boatyard.json").read_text())
TARGETS: list[dict[str, Any]] = [target for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]


def metric_names(expression: str) -> set[str]:
    """What is left of PromQL without matchers, ranges, groupings and functions."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(by|without|on|ignoring)\s*\([^)]*\)", " ", expression)
    return set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?![a-zA-Z0-9_:]|\s*\()", bare))


def label_names(target: dict[str, Any]) -> set[str]:
    """What its legend shows, and what its expression groups or chooses by."""
    groupings = re.findall(r"\bby\s*\(([^)]*)\)", target["expr"])
    grouped = {name.strip() for grouping in groupings for name in grouping.split(",")}
    chosen = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", target["expr"]))
    return grouped | chosen | set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))


@pytest.fixture
def exposed(client: TestClient) -> dict[str, set[str]]:
    """Every sample's name after one prediction, of a text that is too long, and its labels."""
    assert client.post("/predict", json={"text": "card " * 39}).json()["truncated"]
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_the_names_in_an_expression_are_found() -> None:
    expression = 'histogram_quantile(0.9, sum by (le) (rate(a_bucket{b="c"}[5m]))) / sum(d:e) > max (f_total)'
    assert metric_names(expression) == {"a_bucket", "d:e", "f_total"}
    assert label_names({"expr": expression, "legendFormat": "{{g}}"}) == {"le", "b", "g"}


def test_everything_that_the_dashboard_asks_for_is_exposed(exposed: dict[str, set[str]]) -> None:
    assert len(TARGETS) > 20
    for target in TARGETS:
        names = metric_names(target["expr"])
        assert names
        assert names <= exposed.keys(), target["expr"]
        labels = set.union(*(exposed[name] for name in names)) | {"instance"}  # which Prometheus adds
        assert label_names(target) <= labels, target["expr"]


def test_everything_that_the_server_exposes_is_on_the_dashboard(exposed: dict[str, set[str]]) -> None:
    shown = set.union(*(metric_names(target["expr"]) for target in TARGETS))
    parts = re.compile(r"_(bucket|sum|count)$")
    ours = {parts.sub("", name) for name in exposed if name.startswith("boatyard_") and not name.endswith("_created")}
    assert ours <= {parts.sub("", name) for name in shown}


def test_the_data_source_is_chosen_and_not_fixed() -> None:
    (variable,) = DASHBOARD["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    assert all(part["datasource"]["uid"] == "${datasource}" for part in [*panels, *TARGETS])
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_prometheus_scrapes_the_server_where_it_listens_by_default() -> None:
    (job,) = yaml.safe_load((GRAFANA.parent / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["localhost:8000", "localhost:8001"]}], "the monitor too"
    assert "metrics_path" not in job, "/metrics is Prometheus' own default"
    (provider,) = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "boatyard.yml").read_text())["providers"]
    assert f"dashboards:{provider['options']['path']}:ro" in (GRAFANA / "README.md").read_text()
    (source,) = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["type"] == "prometheus"
