"""The monitor over HTTP: the latest report, its history, figures of the traffic, and a look right now."""

import logging
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import HTMLResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import Response

from boatyard import __version__
from boatyard.api.documentation import add_documentation
from boatyard.api.problems import Problem, documented, handle_problems
from boatyard.api.protocol import configured
from boatyard.api.routes import HeadRequests, refuse_unknown_query
from boatyard.config.errors import UserError
from boatyard.monitor.results import Findings, Past
from boatyard.monitor.run import HISTORY_DAYS, Monitor
from boatyard.monitor.settings import Settings

logger = logging.getLogger(__name__)
router = APIRouter(dependencies=[Depends(refuse_unknown_query)], responses=documented(422))

_NONE_YET = "there is no report yet: POST /drift/run makes one"


def _monitor(request: Request) -> Monitor:
    monitor: Monitor = request.app.state.monitor
    return monitor


@router.get("/drift", response_class=HTMLResponse, responses=documented(404, 500, 503))
def drift_page(request: Request) -> HTMLResponse:
    """The latest report, for people."""
    if (content := _monitor(request).latest_page()) is None:
        raise Problem(404, _NONE_YET)
    return HTMLResponse(content)


@router.get("/drift.json", responses=documented(404, 500, 503))
def drift(request: Request) -> Findings:
    """The latest report, for programs."""
    if (report := _monitor(request).latest()) is None:
        raise Problem(404, _NONE_YET)
    return report


@router.post("/drift/run", responses=documented(409, 500, 503))
def drift_run(request: Request) -> Findings:
    """Looks at the traffic now; one look at a time."""
    running: threading.Lock = request.app.state.running
    if not running.acquire(blocking=False):
        raise Problem(409, "a run is in progress: its report will be at /drift.json")
    try:
        return _monitor(request).run()[0]
    finally:
        running.release()


@router.get("/history.json", responses=documented(500, 503))
def history(request: Request) -> list[Past]:
    """The last reports, the oldest first."""
    return _monitor(request).history()


@router.get("/statistics", responses=documented(500, 503))
def statistics(request: Request) -> dict[str, Any]:
    """Figures of the last days' traffic, by hour and altogether."""
    return _monitor(request).figures()


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process is alive."""
    return {"status": "ok"}


@router.get("/readyz", responses=documented(500, 503))
def readyz(request: Request) -> dict[str, str]:
    """The model that is watched is published; if not, the problem says so.

    `limited`: its reference is too small to compare anything with, for which there is a `reason`.
    """
    monitor = _monitor(request)
    name, version = monitor.model()
    if reason := monitor.why_incomparable():
        return {"status": "limited", "model": name, "version": version, "reason": reason}
    return {"status": "ready", "model": name, "version": version}


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(request: Request) -> Response:
    """For Prometheus."""
    return Response(generate_latest(request.app.state.registry), headers={"content-type": CONTENT_TYPE_LATEST})


def create_app(settings: Settings) -> FastAPI:
    """The app."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.monitor = Monitor(settings, days=max(HISTORY_DAYS, settings.hours / 24))
        app.state.running = threading.Lock()
        app.state.registry = CollectorRegistry()
        ProcessCollector(registry=app.state.registry)
        app.state.registry.register(_Latest(app.state.monitor))
        yield

    app = FastAPI(
        title="Boatyard's monitor",
        version=__version__,
        description="Whether a model's traffic is still like its test data, and its answers are still as good.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.include_router(router)
    add_documentation(app)
    handle_problems(app)
    app.add_middleware(HeadRequests)

    async def unavailable(_: Request, error: UserError) -> Response:
        logger.error("%s", error)
        return Problem(503, str(error), headers={"retry-after": "10"}).response()

    app.add_exception_handler(UserError, unavailable)  # type: ignore[arg-type]  # Starlette's type knows Exception only
    return app


def serve(settings: Settings) -> int:
    """Listen until a signal stops it; returns the exit status."""
    server = uvicorn.Server(configured(create_app(settings), settings.host, settings.port))
    with suppress(KeyboardInterrupt):  # uvicorn raises it again after a clean shutdown
        server.run()
    return 0 if server.started else 1


class _Latest(Collector):
    """The latest report at the time of each scrape, whichever process made it."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def describe(self) -> list[Metric]:
        """Nothing, so that registering collects nothing."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily("boatyard_monitor_rows", "Journal rows that were read.", self._monitor.rows_read)
        report = self._monitor.latest()
        if report is None:
            return
        model = report.model
        keys = ["model", "verdict", "group"]
        value = GaugeMetricFamily("boatyard_drift_value", "A verdict's statistic.", labels=keys)
        threshold = GaugeMetricFamily("boatyard_drift_threshold", "The largest unsuspicious value.", labels=keys)
        suspicious = GaugeMetricFamily("boatyard_drift_suspicious", "1 where the value is above.", labels=keys)
        drifted = GaugeMetricFamily("boatyard_drift_drifted", "1 where it raises the alarm.", labels=keys)
        for verdict in report.verdicts:
            key = [model, verdict.name, verdict.group]
            drifted.add_metric(key, verdict.drifted)
            suspicious.add_metric(key, verdict.suspicious)
            if verdict.value is not None and verdict.threshold is not None:
                value.add_metric(key, verdict.value)
                threshold.add_metric(key, verdict.threshold)
        yield from (value, threshold, suspicious, drifted)
        of_model = {
            "boatyard_drift_alarm": ("1 where any verdict raises the alarm.", float(report.alarm)),
            "boatyard_drift_comparable": ("0 where the reference is too small.", float(report.comparable)),
            "boatyard_drift_report_timestamp_seconds": (
                "When the latest report was made.",
                datetime.fromisoformat(report.time).timestamp(),
            ),
            "boatyard_drift_window_rows": ("Predictions in the report's window.", float(report.window.rows)),
            "boatyard_live_feedback": ("Judged answers in the window.", float(report.quality.feedback)),
            "boatyard_live_feedback_unknown": (
                "Further feedback, which names what the model cannot answer.",
                float(report.quality.unknown),
            ),
        }
        for name, (help_, number) in of_model.items():
            gauge = GaugeMetricFamily(name, help_, labels=["model"])
            gauge.add_metric([model], number)
            yield gauge
        scores = {
            "boatyard_live_score": ("The model's primary score on judged answers.", report.quality.score),
            "boatyard_accepted_score": ("The same on the test rows, at export.", report.quality.accepted),
        }
        for name, (help_, score) in scores.items():
            if score is not None:
                gauge = GaugeMetricFamily(name, help_, labels=["model", "score"])
                gauge.add_metric([model, score.name], score.value)
                yield gauge
