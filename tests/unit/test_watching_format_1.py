"""A model, its journal and its reports as the version before inputs and tasks wrote them."""

import gzip
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from boatyard.monitor.results import Findings
from boatyard.monitor.run import Monitor
from boatyard.monitor.settings import Settings
from boatyard.registry import Reference
from boatyard.storage import Storage

pytestmark = pytest.mark.unit

FIXTURE = Path(__file__).parents[1] / "fixtures" / "format-1" / "storage"
THEN = datetime(2026, 11, 28, 7, tzinfo=UTC)


def test_a_bundle_and_a_journal_of_format_1_are_watched(tmp_path: Path) -> None:
    shutil.copytree(FIXTURE, tmp_path / "storage")
    monitor = Monitor(Settings(storage=str(tmp_path / "storage"), model=Reference("moorings", "production")), days=1)
    findings, page = monitor.run(THEN)
    verdicts = {verdict.name: verdict for verdict in findings.verdicts}
    assert [name for name, verdict in verdicts.items() if verdict.value is not None] == [
        "label",
        "score",
        "length",
        "truncated",
        "unknown_share",
        "fragment_share",
        "capital_share",
        "foreign_letter_share",
        "language",
        "embedding",
        "missing_score",
        "quality",
    ]
    assert findings.window.rows == findings.window.sampled > 100
    assert findings.quality.feedback > 100
    assert findings.quality.score is not None
    assert findings.quality.accepted is not None
    assert (findings.quality.accepted.name, round(findings.quality.accepted.value, 4)) == ("accuracy", 0.9462)
    assert "moorings: " in page
    shown = monitor.figures(THEN)
    assert sum(map(sum, shown["categories"]["label"].values())) == shown["rows"] == findings.window.rows


def verdict(name: str, group: str) -> dict[str, Any]:
    return {
        "name": name,
        "group": group,
        "statistic": "share of mistakes",
        "value": 0.3,
        "threshold": 0.1,
        "p": 0.01,
        "suspicious": True,
        "drifted": True,
        "sentence": "Of 60 judged answers 70.0% are right.",
    }


def report(**quality: Any) -> dict[str, Any]:
    """drift.json, as it was."""
    return {
        "model": "ferry",
        "version": "20261120T000000Z-01234567",
        "time": "2026-11-20T08:00:00+00:00",
        "window": {"rows": 60, "sampled": 60, "from": "2026-11-19T08:00:00+00:00", "to": "2026-11-20T08:00:00+00:00"},
        "alarm": True,
        "comparable": True,
        "level": 0.01,
        "verdicts": [
            verdict("label", "prediction"),
            verdict("missing_scores", "data quality"),
            verdict("accuracy", "live quality"),
        ],
        "quality": quality,
    }


def test_a_report_of_the_version_before_is_read_by_the_names_of_today() -> None:
    findings = Findings.model_validate_json(
        json.dumps(report(feedback=60, accuracy=0.7, low=0.58, high=0.8, accepted=0.9, unknown=2))
    )
    assert [one.name for one in findings.verdicts] == ["label", "missing_score", "quality"]
    assert json.loads(findings.as_json())["quality"] == {
        "feedback": 60,
        "score": {
            "name": "accuracy",
            "value": 0.7,
            "low": 0.58,
            "high": 0.8,
            "higher_is_better": True,
            "title": "accuracy",
        },
        "accepted": {
            "name": "accuracy",
            "value": 0.9,
            "low": None,
            "high": None,
            "higher_is_better": True,
            "title": "accuracy",
        },
        "unknown": 2,
    }
    assert Findings.model_validate_json(findings.as_json()) == findings


def test_a_report_of_the_version_before_without_feedback_has_no_score() -> None:
    findings = Findings.model_validate(report(feedback=0, accuracy=None, low=None, high=None, accepted=None))
    assert findings.quality.model_dump() == {"feedback": 0, "score": None, "accepted": None, "unknown": 0}


@pytest.mark.slow
def test_an_alarm_of_the_version_before_goes_on_while_its_verdict_is_suspicious(
    storage: Storage, tmp_path: Path
) -> None:
    shutil.copytree(FIXTURE, tmp_path / "storage", dirs_exist_ok=True)
    lines = list(map(json.loads, gzip.decompress(next(FIXTURE.glob("journal/*/*.gz")).read_bytes()).splitlines()))
    answers = {line["id"]: line["label"] for line in lines if line["event"] == "prediction"}
    right = [line for line in lines if line["event"] == "feedback" and line["label"] == answers[line["id"]]]
    mistakes = [
        line | {"label": "fuel" if line["label"] != "fuel" else "berth", "time": THEN.isoformat()}
        for line in right[:10]
    ]
    content = gzip.compress("".join(json.dumps(line) + "\n" for line in mistakes).encode())
    storage.write_once("journal/date=2026-11-28/corrections-1.jsonl.gz", content)
    before = report(feedback=60, accuracy=0.7, low=0.58, high=0.8, accepted=0.9, unknown=0)
    before |= {"model": "moorings", "version": right[0]["version"], "time": (THEN - timedelta(seconds=1)).isoformat()}
    storage.write_once("monitor/moorings/20261128T065959-000000Z.json", json.dumps(before).encode())
    storage.write_once("monitor/moorings/days/2026-11-28", b"")
    monitor = Monitor(Settings(storage=str(tmp_path / "storage"), model=Reference("moorings", "production")), days=1)
    findings = monitor.run(THEN)[0]
    quality = findings.verdicts[-1]
    assert quality.suspicious
    assert quality.p is not None
    assert findings.level is not None
    assert quality.p > findings.level, "by itself it would not raise the alarm"
    assert quality.drifted
    assert monitor.history()[0].drifted == ["label", "missing_score", "quality"]
