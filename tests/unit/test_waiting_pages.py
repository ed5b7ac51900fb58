"""What the pages say while the journal in the storage does not have what a server answered a moment ago."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from prometheus_client import Gauge
from streamlit.testing.v1 import AppTest

from boatyard.api.metrics import Metrics

pytestmark = pytest.mark.unit

QUALITY = {"feedback": 0, "accuracy": None, "low": None, "high": None, "accepted": 0.9}
NOTHING = {"rows": 0, "hours": [], "labels": {}, "quality": QUALITY}
SOME = {
    "rows": 30,
    "hours": ["2026-01-02T03:00:00+00:00"],
    "labels": {"card_lost": [30]},
    "latency_ms": {"p95": 2.0},
    "length": {"p50": 4},
    "score": {"p50": 0.9},
    "quality": QUALITY,
}


class Services:
    """Both services at one address. A route that is not in `answers` is unknown."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.answers: dict[str, Any] = {"/statistics": NOTHING}

    def answered_a_moment_ago(self, label: str, seconds: float) -> None:
        self.metrics.predictions.labels("inbox", label).inc()
        self.metrics.answered("/predict", 200, 0.002)
        self.metrics.answered("/feedback", 202, 0.002)
        Gauge("boatyard_journal_lag_seconds", "of a journal", registry=self.metrics.registry).set(seconds)

    def read(self, path: str) -> bytes | None:
        if path == "/metrics":
            return self.metrics.page()
        return json.dumps(self.answers[path]).encode() if path in self.answers else None


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    made = Services()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = made.read(self.path)
            self.send_response(404 if content is None else 200)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        for variable in ("BOATYARD_API", "BOATYARD_MONITOR"):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{server.server_port}")
        # its colours are in a file that only Streamlit's server reads
        monkeypatch.setattr("boatyard.frontend.charts.theme", lambda _: "#ffffff")
        yield made
        server.shutdown()


def said(page: str) -> str:
    """The text of the page, as Markdown."""

    def script(page: str) -> None:
        from importlib import import_module

        from boatyard.frontend.services import addresses

        import_module(f"boatyard.frontend.{page}").show(*addresses())

    ran = AppTest.from_function(script, args=(page,)).run()
    assert not ran.exception
    metrics = [f"{metric.label}: {metric.value}" for metric in ran.metric]
    return "\n".join([element.value for kind in ("info", "caption", "markdown") for element in ran.get(kind)] + metrics)


def test_traffic_shows_at_once_what_the_server_answered_and_when_the_journal_has_it(services: Services) -> None:
    services.answered_a_moment_ago("card_lost", seconds=7)
    text = said("traffic")
    for part in (
        "Predictions: 1",
        "Feedback: 1",
        "Predictions, by label",
        "in the last 7 s is on its way to the journal",
    ):
        assert part in text


def test_traffic_of_a_server_that_nobody_asked_promises_nothing(services: Services) -> None:  # noqa: ARG001
    text = said("traffic")
    assert "The journal has no predictions yet." in text
    assert "on its way" not in text


def test_the_latest_answers_are_missed_beside_older_ones_too(services: Services) -> None:
    services.answered_a_moment_ago("card_lost", seconds=7)
    services.answers["/statistics"] = SOME
    text = said("traffic")
    assert "Predictions: 30" in text
    assert "in the last 7 s is on its way to the journal" in text


@pytest.mark.parametrize(
    ("statistics", "sentence"),
    [(NOTHING, "has no predictions to make one of"), (SOME, "Predictions in the journal: 30")],
)
def test_a_drift_page_without_a_report_says_what_there_is(
    services: Services, statistics: dict[str, Any], sentence: str
) -> None:
    services.answered_a_moment_ago("card_lost", seconds=7)
    services.answers["/statistics"] = statistics
    text = said("drift")
    assert sentence in text
    assert "in the last 7 s is on its way to the journal" in text


def test_a_report_on_too_few_rows_says_how_many_are_needed(services: Services) -> None:
    few = "Not enough rows: 30 predictions, and 100 are needed to say anything."
    verdict = {"name": "label", "group": "prediction", "value": None, "threshold": None}
    services.answers["/drift.json"] = {
        "model": "inbox",
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
    (info,) = [line for line in said("drift").splitlines() if "too little traffic to compare" in line]
    assert "100 are needed" in info
