"""The dashboards speak of the metrics of the server and of the monitor, and of all of them."""

import json
import re
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from needs import needs
from prometheus_client.parser import text_string_to_metric_families
from references import publish_watchable
from starlette.testclient import TestClient

from boatyard import api
from boatyard.api.settings import Settings
from boatyard.monitor import service  # part: monitor
from boatyard.monitor.settings import Settings as MonitorSettings  # part: monitor
from boatyard.registry import Reference
from boatyard.storage import open_storage

pytestmark = pytest.mark.integration

GRAFANA = Path(__file__).parents[2] / "deploy" / "grafana"
DASHBOARDS: dict[str, dict[str, Any]] = {
    file.stem: json.loads(file.read_text()) for file in sorted((GRAFANA / "dashboards").glob("*.json"))
}


def panels_of(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


PANELS = [panel for dashboard in DASHBOARDS.values() for panel in panels_of(dashboard)]
TARGETS: list[dict[str, Any]] = [target for panel in PANELS for target in panel["targets"]]


def metric_names(expression: str) -> set[str]:
    """What is left of PromQL without matchers, ranges, groupings, functions and `or`."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(by|without|on|ignoring)\s*\([^)]*\)|\bor\b", " ", expression)
    return set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?![a-zA-Z0-9_:]|\s*\()", bare))


def label_names(target: dict[str, Any]) -> set[str]:
    """What its legend shows, and what its expression groups or chooses by."""
    groupings = re.findall(r"\bby\s*\(([^)]*)\)", target["expr"])
    grouped = {name.strip() for grouping in groupings for name in grouping.split(",")}
    chosen = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", target["expr"]))
    return grouped | chosen | set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Every sample's name and its labels, after predictions, one of a text that is too long, feedback and a report."""
    home = tmp_path_factory.mktemp("exposed")
    storage = f"{home}/storage"
    texts = ["my card was stolen", "send a transfer", "the fee"] * 50
    publish_watchable(open_storage(storage), home, texts)
    with TestClient(
        api.Application(Settings(storage=storage, model=Reference("ferry"), spool=f"{home}/spool"))
    ) as client:
        assert client.post("/predict", json={"text": "card " * 39}).json()["truncated"]
        asked = client.post("/predict", json={"inputs": [{"text": text} for text in texts]}).json()
        for answer in asked["predictions"][:30]:
            client.post("/feedback", json={"id": answer["id"], "label": answer["label"]}).raise_for_status()
        pages = [client.get("/metrics").text]
    # part: monitor
    with TestClient(service.create_app(MonitorSettings(storage=storage, model=Reference("ferry")))) as client:
        client.post("/drift/run").raise_for_status()
        pages.append(client.get("/metrics").text)
    # part end
    found: dict[str, set[str]] = {}
    for page in pages:
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_the_names_in_an_expression_are_found() -> None:
    expression = (
        'histogram_quantile(0.9, sum by (le) (rate(a_bucket{b="c"}[5m]))) / sum(d:e) > max (f_total) or vector(0)'
    )
    assert metric_names(expression) == {"a_bucket", "d:e", "f_total"}
    assert label_names({"expr": expression, "legendFormat": "{{g}}"}) == {"le", "b", "g"}


def test_everything_that_the_dashboards_ask_for_is_exposed(exposed: dict[str, set[str]]) -> None:
    assert len(TARGETS) > 20
    for target in TARGETS:
        names = metric_names(target["expr"])
        assert names
        assert names <= exposed.keys(), target["expr"]
        labels = set.union(*(exposed[name] for name in names)) | {"instance"}  # which Prometheus adds
        assert label_names(target) <= labels, target["expr"]


def test_everything_that_is_exposed_is_on_a_dashboard(exposed: dict[str, set[str]]) -> None:
    assert "boatyard_requests_total" in exposed
    assert {"boatyard_drift_drifted", "boatyard_live_score"} <= exposed.keys()  # part: monitor
    shown = set.union(*(metric_names(target["expr"]) for target in TARGETS))
    parts = re.compile(r"_(bucket|sum|count)$")
    ours = {parts.sub("", name) for name in exposed if name.startswith("boatyard_") and not name.endswith("_created")}
    assert ours <= {parts.sub("", name) for name in shown}


@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)
def test_the_data_source_is_chosen_and_not_fixed(dashboard: dict[str, Any]) -> None:
    (variable,) = dashboard["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")
    for panel in panels_of(dashboard):
        assert all(part["datasource"]["uid"] == "${datasource}" for part in [panel, *panel["targets"]])


def test_each_dashboard_has_an_address_of_its_own_and_links_to_the_others() -> None:
    assert len({dashboard["uid"] for dashboard in DASHBOARDS.values()}) == len(DASHBOARDS)
    for dashboard in DASHBOARDS.values():
        (link,) = dashboard["links"]
        assert set(link["tags"]) <= set.intersection(*(set(one["tags"]) for one in DASHBOARDS.values()))


@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)
def test_each_panel_says_what_it_shows_in_what_unit_and_has_a_place_of_its_own(dashboard: dict[str, Any]) -> None:
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        if panel["type"] != "row":
            assert panel["title"]
            assert panel["description"].endswith(".")
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        x, y, width, height = (panel["gridPos"][side] for side in "xywh")
        place = set(product(range(x, x + width), range(y, y + height)))
        assert x + width <= 24
        assert not place & taken, panel["title"]
        taken |= place


@needs("promtool")
def test_prometheus_understands_every_expression(tmp_path: Path) -> None:
    rules = [
        {"record": f"of_panel:{number}", "expr": target["expr"].replace("$__rate_interval", "1m")}
        for number, target in enumerate(TARGETS)
    ]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    checked = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(TARGETS)} rules found" in checked.stdout


def test_prometheus_scrapes_the_server_where_it_listens_by_default() -> None:
    (job,) = yaml.safe_load((GRAFANA.parent / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    targets = ["localhost:8000"]
    targets.append("localhost:8001")  # part: monitor
    assert job["static_configs"] == [{"targets": targets}]
    assert "metrics_path" not in job, "/metrics is Prometheus' own default"
    (provider,) = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "boatyard.yml").read_text())["providers"]
    assert f"dashboards:{provider['options']['path']}:ro" in (GRAFANA / "README.md").read_text()
    (source,) = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["type"] == "prometheus"
