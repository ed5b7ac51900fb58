"""A model that answers with numbers is watched: its answers' distribution, and its errors by feedback."""

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from bundles import write_regression_bundle
from references import messages, publish_watchable
from starlette.testclient import TestClient

from boatyard import registry
from boatyard.bundle.predict import Predictor
from boatyard.monitor.results import Findings
from boatyard.monitor.run import Monitor
from boatyard.monitor.service import create_app
from boatyard.monitor.settings import Settings
from boatyard.registry import Reference
from boatyard.storage import Storage
from boatyard.tasks.score import Score

pytestmark = pytest.mark.unit

MORNING = datetime(2026, 11, 20, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
ACCEPTED = Score("mean_absolute_error", 1.0, 0.9, 1.1, higher_is_better=False)


class Watched:
    """prices@production, which is asked, judged and looked at."""

    def __init__(self, storage: Storage, folder: Path) -> None:
        publish_watchable(storage, folder / "made", messages(400, seed=0), write_regression_bundle, ACCEPTED)
        self.storage = storage
        self.settings = Settings(storage=str(folder / "storage"), model=Reference("prices"), hours=1)
        self.predictor = Predictor(registry.fetch(storage, self.settings.model, folder / "fetched"))

    def answer(self, time: datetime, texts: Sequence[str], mean_error: float) -> None:
        """The first 100 answers are judged."""
        manifest, draw = self.predictor.manifest, np.random.default_rng(time.hour)
        lines = []
        for number, (text, one) in enumerate(
            zip(texts, self.predictor.answer([(each,) for each in texts]), strict=True)
        ):
            shared = {"id": f"{draw.integers(2**62):032x}", "time": (time - timedelta(minutes=1)).isoformat()}
            prediction = {
                "event": "prediction",
                "input": manifest.input,
                "task": manifest.task,
                "model": manifest.name,
                "version": manifest.version,
                "request": {"text": text},
                "truncated": one.truncated,
                "measured": one.measured,
                "answer": one.answer,
                "duration_ms": 1.0,
            }
            lines.append(shared | prediction)
            if number < 100:
                truth = one.answer["value"] + draw.exponential(mean_error) * draw.choice([-1, 1])
                lines.append(shared | {"event": "feedback", "truth": {"value": truth}})
        content = gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode())
        self.storage.write_once(f"journal/date={time:%Y-%m-%d}/a-{time:%H}.jsonl.gz", content)

    def look(self, time: datetime) -> Findings:
        return Monitor(self.settings, days=1).run(time)[0]


@pytest.fixture
def watched(storage: Storage, tmp_path: Path) -> Watched:
    return Watched(storage, tmp_path)


def suspicious(findings: Findings) -> set[str]:
    return {verdict.name for verdict in findings.verdicts if verdict.suspicious}


@pytest.mark.slow
def test_answers_like_the_reference_with_errors_as_accepted_are_quiet(watched: Watched) -> None:
    watched.answer(MORNING, messages(300, seed=1), mean_error=1.0)
    findings = watched.look(MORNING)
    assert suspicious(findings) == set()
    assert findings.conclusion == "no drift"
    assert findings.quality.feedback == 100
    assert findings.quality.accepted == ACCEPTED
    assert next(verdict for verdict in findings.verdicts if verdict.name == "value").value is not None


def test_errors_that_grow_raise_the_alarm_although_the_traffic_is_the_same(watched: Watched) -> None:
    watched.answer(MORNING, messages(300, seed=1), mean_error=3.0)
    findings = watched.look(MORNING)
    assert (suspicious(findings), findings.alarm) == ({"quality"}, True)
    with TestClient(create_app(watched.settings)) as client:
        metrics = client.get("/metrics").text
    assert 'boatyard_drift_drifted{group="live quality",model="prices",verdict="quality"} 1.0' in metrics
    assert 'boatyard_accepted_score{model="prices",score="mean_absolute_error"} 1.0' in metrics


def test_higher_answers_raise_the_alarm_although_they_are_right(watched: Watched) -> None:
    watched.answer(MORNING, [f"{text} fee" for text in messages(300, seed=1)], mean_error=1.0)
    findings = watched.look(MORNING)
    assert {verdict.name for verdict in findings.verdicts if verdict.drifted} >= {"value", "length", "embedding"}
    assert "quality" not in suspicious(findings)


@pytest.mark.slow
def test_a_version_that_answers_by_another_task_is_watched_from_its_own_lines(
    watched: Watched, storage: Storage, tmp_path: Path
) -> None:
    watched.answer(MORNING, messages(150, seed=1), mean_error=1.0)
    monitor = Monitor(watched.settings, days=1)
    assert monitor.run(MORNING)[0].window.rows == 150
    publish_watchable(storage, tmp_path / "other", messages(400, seed=0), name="prices")
    findings, _ = monitor.run(MORNING + HOUR / 4)
    assert (findings.window.rows, findings.verdicts[0].name) == (0, "label")
    shown = monitor.figures(MORNING + HOUR / 4)
    assert (shown["rows"], shown["categories"], shown["quality"]["feedback"]) == (150, {"label": {}}, 0)
