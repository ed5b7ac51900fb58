"""Metrics for Prometheus: requests, latency, answers, the loaded models and the journal."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from boatyard.bundle.manifest import Manifest
from boatyard.bundle.predict import Prediction, Predictor
from boatyard.journal import Journal
from boatyard.journal.columns import Column

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """One registry for each app. No dimension's value comes from a client, which bounds the number of series."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "boatyard_requests_total", "Answered requests.", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "boatyard_request_duration_seconds",
            "From a request's first byte to its answer's last.",
            ["route"],
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.predictions = Counter("boatyard_predictions_total", "Answered inputs.", ["model"], registry=self.registry)
        self.answers = Counter(
            "boatyard_answers_total",
            "Answers by category.",
            ["model", "column", "category"],
            registry=self.registry,
        )
        self.truncated = Counter(
            "boatyard_truncated_total",
            "Inputs longer than the model reads.",
            ["model"],
            registry=self.registry,
        )
        self.queued = Gauge("boatyard_queue_inputs", "Inputs that wait for a worker.", registry=self.registry)
        self.waited = Histogram(
            "boatyard_queue_duration_seconds",
            "From a request's place in the queue to its run.",
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.inference = Histogram(
            "boatyard_inference_duration_seconds",
            "What a run took, encoding included.",
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.batch = Histogram(
            "boatyard_batch_inputs",
            "Inputs that one run answered.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=self.registry,
        )
        self.numbers = _AnsweredNumbers()
        self.registry.register(self.numbers)
        self.models = Gauge(
            "boatyard_model_info",
            "1 for each loaded model.",
            ["name", "version", "input", "task"],
            registry=self.registry,
        )
        self._series = cache(_series)  # looking one up takes longer than counting
        self.default_failed = Gauge(
            "boatyard_default_model_failed",
            "1 while what the default model's alias means cannot be loaded, and an older version serves or none.",
            registry=self.registry,
        )

    def watch_journal(self, journal: Journal) -> None:
        """Reports the journal's state at each scrape."""
        self.registry.register(_JournalState(journal))

    def count(self, predictor: Predictor, predictions: Sequence[Prediction]) -> None:
        """Counts the answers to one request."""
        model = predictor.manifest.name
        self._series(self.predictions, model).inc(len(predictions))
        if truncated := sum(prediction.truncated for prediction in predictions):
            self._series(self.truncated, model).inc(truncated)
        for column in predictor.task.columns:
            values = [prediction.answer[column.name] for prediction in predictions]
            if column.category:
                for category in values:
                    self._series(self.answers, model, column.name, category).inc()
            elif column.buckets:
                self.numbers.observe(model, column, values)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Counts a finished request. `route`: the template of its path, or `other`."""
        self._series(self.requests, route, status).inc()
        self._series(self.seconds, route).observe(seconds)

    def ran(self, inputs: int, seconds: float) -> None:
        """Counts a batch."""
        self.batch.observe(inputs)
        self.inference.observe(seconds)

    def loaded(self, manifest: Manifest) -> None:
        """The model is in memory."""
        self.models.labels(*_identity(manifest)).set(1)

    def unloaded(self, manifest: Manifest) -> None:
        """The model was evicted."""
        self.models.remove(*_identity(manifest))

    def page(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)


def _series(metric: Any, *values: str | int) -> Any:
    """The series of these labels."""
    return metric.labels(*values)


def _identity(manifest: Manifest) -> tuple[str, str, str, str]:
    return manifest.name, manifest.version, manifest.input, manifest.task


@dataclass
class _Histogram:
    bounds: Sequence[float]
    counts: list[int] = field(init=False)
    sum: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def cumulative(self) -> list[tuple[str, float]]:
        """Each bucket's upper bound, and how many values are no larger."""
        bounds = [*map(str, map(float, self.bounds)), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self.counts)), strict=True))


class _AnsweredNumbers(Collector):
    """Histograms with one name, each with its column's buckets; prometheus_client's own all have the same.

    If a later version has other buckets, they apply after the next start: a histogram that changes them is misleading.
    """

    def __init__(self) -> None:
        self._histograms: dict[tuple[str, str], _Histogram] = {}

    def observe(self, model: str, column: Column, values: Sequence[float]) -> None:
        histogram = self._histograms.setdefault((model, column.name), _Histogram(column.buckets))
        for value in values:
            histogram.counts[bisect_left(histogram.bounds, value)] += 1
            histogram.sum += value

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(
            "boatyard_answer_number", "Numbers that were answered.", labels=["model", "column"]
        )
        for key, histogram in self._histograms.items():
            family.add_metric(key, histogram.cumulative(), histogram.sum)
        yield family


class _JournalState(Collector):
    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def collect(self) -> Iterator[Metric]:
        journal = self._journal
        yield GaugeMetricFamily(
            "boatyard_journal_spool_bytes", "Journal lines that are not in the storage yet.", journal.spooled_bytes
        )
        yield GaugeMetricFamily(
            "boatyard_journal_lag_seconds", "Age of the oldest line that is not.", journal.lag_seconds
        )
        yield CounterMetricFamily("boatyard_journal_failures", "Times that shipping failed.", journal.failures)
        yield CounterMetricFamily(
            "boatyard_journal_repairs", "Times that a part of the spool was gone and was made again.", journal.repairs
        )
        yield GaugeMetricFamily(
            "boatyard_journal_refusing",
            "1 while the journal can take no line, and so no input is answered.",
            float(journal.trouble is not None),
        )
