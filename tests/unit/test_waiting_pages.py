"""What the pages say while the journal in the storage does not have what a server answered a moment ago."""

from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import Gauge
from standin_services import Services, content, open_page, running

from boatyard.api.metrics import Metrics

pytestmark = pytest.mark.unit

QUALITY = {"feedback": 0, "score": None, "accepted": None, "unknown": 0}
NOTHING = {"model": "ferry", "rows": 0, "hours": [], "counts": [], "categories": {}, "numbers": {}, "quality": QUALITY}
SOME = {
    "model": "ferry",
    "rows": 30,
    "hours": ["2026-01-02T03:00:00+00:00"],
    "counts": [30],
    "categories": {"label": {"card_lost": [30]}},
    "numbers": {"score": {"p50": 0.9}, "length": {"p50": 4}},
    "numbers_by_hour": {
        name: {"p5": [4], "p25": [4], "p50": [4], "p75": [4], "p95": [4]} for name in ("score", "length")
    },
    "latency_ms": {"p95": 2.0},
    "quality": QUALITY,
}


def answered_a_moment_ago(services: Services, label: str, seconds: float) -> None:
    metrics = Metrics()
    metrics.predictions.labels("ferry").inc()
    metrics.answers.labels("ferry", "label", label).inc()
    metrics.answered("/predict", 200, 0.002)
    metrics.answered("/feedback", 202, 0.002)
    Gauge("boatyard_journal_lag_seconds", "of a journal", registry=metrics.registry).set(seconds)
    services.answers["/metrics"] = metrics.page()


@pytest.fixture
def services() -> Iterator[Services]:
    made = Services()
    made.answers = {"/statistics": NOTHING, "/metrics": Metrics().page()}
    with running(made):
        yield made


def test_traffic_shows_at_once_what_the_server_answered_and_when_the_journal_has_it(services: Services) -> None:
    answered_a_moment_ago(services, "card_lost", seconds=7)
    text = content(open_page("traffic"))
    for part in (
        "Predictions: 1",
        "Feedback: 1",
        "Predictions, by label",
        "in the last 7 s is on its way to the journal",
    ):
        assert part in text


def test_traffic_of_a_server_that_nobody_asked_promises_nothing(services: Services) -> None:  # noqa: ARG001
    text = content(open_page("traffic"))
    assert "The journal has no predictions yet." in text
    assert "on its way" not in text


def test_the_latest_answers_are_missed_beside_older_ones_too(services: Services) -> None:
    answered_a_moment_ago(services, "card_lost", seconds=7)
    services.answers["/statistics"] = SOME
    text = content(open_page("traffic"))
    assert "Predictions: 30" in text
    assert "in the last 7 s is on its way to the journal" in text


@pytest.mark.parametrize(
    ("statistics", "sentence"),
    [(NOTHING, "has no predictions to make one of"), (SOME, "Predictions in the journal: 30")],
)
def test_a_drift_page_without_a_report_says_what_there_is(
    services: Services, statistics: dict[str, Any], sentence: str
) -> None:
    answered_a_moment_ago(services, "card_lost", seconds=7)
    services.answers["/statistics"] = statistics
    text = content(open_page("drift"))
    assert sentence in text
    assert "in the last 7 s is on its way to the journal" in text


def test_a_report_on_too_few_rows_says_how_many_are_needed(services: Services) -> None:
    few = "Not enough rows: 30 predictions, and 100 are needed to say anything."
    verdict = {"name": "label", "group": "prediction", "value": None, "threshold": None}
    services.answers["/drift.json"] = {
        "model": "ferry",
        "version": "1",
        "alarm": False,
        "comparable": True,
        "window": {"rows": 30, "from": "2026-01-02T03:00:00", "to": "2026-01-03T03:00:00"},
        "verdicts": [{**verdict, "suspicious": False, "drifted": False, "sentence": few}],
        "quality": QUALITY,
    }
    services.answers["/history.json"] = [
        {"time": "2026-01-03T03:00:00+00:00", "rows": 30, "alarm": False, "suspicious": [], "drifted": []}
    ]
    page = content(open_page("drift"))
    (info,) = [line for line in page.splitlines() if "too little traffic to compare" in line]
    assert "100 are needed" in info
    assert "Drifted: n/a" in page
    assert "No feedback in this report." in page
