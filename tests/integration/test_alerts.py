"""Alerts: each fires on what it is for and stays quiet otherwise; files agree with their source and the metrics."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from needs import needs
from starlette.testclient import TestClient
from test_dashboard import metric_names

from boatyard.config.errors import UserError
from boatyard.monitor.alerts import files, policy, read_alerts

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).parents[2]
DEPLOY = REPOSITORY / "deploy"
ALERTS = {alert.name: alert for alert in read_alerts(DEPLOY / "alerts" / "alerts.yaml")}
OF_MONITOR = {
    "boatyard_drift_drifted",
    "boatyard_drift_comparable",
}  # which tests/integration/test_monitor.py looks for
Series = dict[str, str]


def asked(ok: str, **others: str) -> Series:
    """Requests for predictions minute by minute, by what became of them."""
    named = 'boatyard_requests_total{{route="/predict", status="{}"}}'
    return {named.format(status.removeprefix("s")): values for status, values in {"200": ok, **others}.items()}


def took(quick: int, slow: int) -> Series:
    """So many predictions a minute within 0.25 s, and between 0.5 and 1 s."""
    named = 'boatyard_request_duration_seconds_bucket{{route="/predict", le="{}"}}'
    both = quick + slow
    counts = {"0.25": quick, "0.5": quick, "1": both, "+Inf": both}
    return {named.format(most): f"0+{count}x120" for most, count in counts.items()}


LAG, REFUSING = "boatyard_journal_lag_seconds", "boatyard_journal_refusing"
FAILED = "boatyard_default_model_failed"
DRIFT, QUALITY = (f'boatyard_drift_drifted{{model="ferry", verdict="{name}"}}' for name in ("label", "quality"))
COMPARABLE = 'boatyard_drift_comparable{model="ferry"}'
FIRES: dict[str, Series] = {
    "Errors": asked("0+95x120", s500="0+5x120"),
    "Slow": took(90, 10),
    "QueueFull": asked("0+90x120", s503="0+10x120"),
    "NoTraffic": asked("500x120"),
    "JournalNotShipping": {LAG: "301+60x120"},
    "JournalRefusing": {REFUSING: "1x120"},
    "ModelNotLoaded": {FAILED: "1x120"},
    "Drift": {DRIFT: "1x120"},
    "QualityDown": {QUALITY: "1x120"},
    "NothingToCompare": {COMPARABLE: "0x120"},
}
STAYS_QUIET: dict[str, list[Series]] = {
    "Errors": [asked("0+99x120", s500="0+1x120"), asked("0+50x120", s503="0+50x120"), asked("0+9x120", s422="0+9x120")],
    "Slow": [took(96, 4), {}],
    "QueueFull": [asked("0+999x120", s503="0+1x120"), asked("0+90x120", s500="0+10x120"), {}],
    "NoTraffic": [asked("0+1x120")],
    "JournalNotShipping": [{LAG: "60x120"}, {LAG: "0x56 400x2 0x60"}],
    "JournalRefusing": [{REFUSING: "0x59 1x1 0x60"}, {}],
    "ModelNotLoaded": [{FAILED: "0x120"}],
    "Drift": [{DRIFT: "0x120"}, {QUALITY: "1x120"}, {}],
    "QualityDown": [{QUALITY: "0x120"}, {DRIFT: "1x120"}, {}],
    "NothingToCompare": [{COMPARABLE: "1x120"}, {}],
}


def promtool(tmp_path: Path, name: str, cases: list[Series], *, firing: bool) -> None:
    """Holds the alert's state after an hour against what is expected."""
    alert = ALERTS[name]
    tests = []
    for series in cases:
        model = {"model": "ferry"} if any("model=" in one for one in series) else {}
        fires = {
            "exp_labels": {"severity": alert.severity} | model,
            "exp_annotations": {"summary": alert.summary, "action": alert.action},
        }
        tests.append(
            {
                "interval": "1m",
                "input_series": [{"series": one, "values": values} for one, values in series.items()],
                "alert_rule_test": [{"eval_time": "60m", "alertname": name, "exp_alerts": [fires] if firing else []}],
            }
        )
    rules = str(DEPLOY / "prometheus" / "alerts.yml")
    file = tmp_path / "rules_test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [rules], "evaluation_interval": "30s", "tests": tests}))
    ran = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@needs("promtool")
@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_fires_on_what_it_is_for(name: str, tmp_path: Path) -> None:
    promtool(tmp_path, name, [FIRES[name]], firing=True)


@needs("promtool")
@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_stays_quiet_otherwise(name: str, tmp_path: Path) -> None:
    promtool(tmp_path, name, STAYS_QUIET[name], firing=False)


# part: cloud
def test_a_policy_can_be_created_before_its_metrics_exist_and_none_is_about_silence() -> None:
    policies = [json.loads(file.read_text()) for file in DEPLOY.glob("alerts/*.json")]
    conditions = [one["conditions"][0]["conditionPrometheusQueryLanguage"] for one in policies]
    assert all(condition["disableMetricValidation"] for condition in conditions)
    assert {condition["alertRule"] for condition in conditions} == set(ALERTS) - {"NoTraffic"}


# part end
def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "boatyard.monitor.alerts", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_rules_and_policies_are_as_their_source_has_them() -> None:
    ran = run(REPOSITORY, "--check")
    assert ran.returncode == 0, ran.stderr


def test_what_is_stale_is_named_and_written_again(tmp_path: Path) -> None:
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    for name in ("slow", "gone"):
        (tmp_path / "deploy" / "alerts" / f"{name}.json").write_text("{}")
    checked = run(tmp_path, "--check")
    assert checked.returncode == 1
    assert re.findall(r"[a-z-]+\.json", checked.stderr) == ["gone.json", "slow.json"]
    assert run(tmp_path).returncode == 0
    assert run(tmp_path, "--check").returncode == 0
    assert not (tmp_path / "deploy" / "alerts" / "gone.json").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"for": "45s"}, "0.for: must be a multiple of 30s"),
        ({"for": "soon"}, "0.for: must be a multiple of 30s"),
        ({"severity": "loud"}, "0.severity: "),
        ({"colour": "red"}, "0.colour: "),
    ],
)
def test_a_wrong_source_is_one_sentence(tmp_path: Path, change: dict[str, str], told: str) -> None:
    alert = {"name": "Slow", "severity": "page", "for": "5m", "summary": "s", "action": "a", "expression": "up == 0"}
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "alerts.yaml").write_text(yaml.safe_dump([alert | change]))
    with pytest.raises(UserError, match=f"alerts.yaml: {re.escape(told)}"):
        files(tmp_path)


def test_every_metric_that_an_alert_asks_for_is_exposed(client: TestClient) -> None:
    client.post("/predict", json={"text": "card"})
    page = client.get("/metrics").text
    for alert in ALERTS.values():
        names = metric_names(alert.expression) - OF_MONITOR
        assert all(f"\n{name}" in page for name in names), alert.name


def test_policy_and_rule_ask_the_same() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"][0]["rules"]
    assert len(rules) == len(ALERTS)
    for rule in rules:
        [condition] = policy(ALERTS[rule["alert"]])["conditions"]
        query = condition["conditionPrometheusQueryLanguage"]
        assert (query["query"], query["duration"]) == (rule["expr"], rule["for"])
