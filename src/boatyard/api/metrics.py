"""What Prometheus may read: requests, latency, predictions and the loaded models."""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from boatyard.bundle.manifest import Manifest
from boatyard.bundle.predict import Prediction
from boatyard.journal import Journal

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """One registry for each app. No label's value comes from a client, so their number stays bounded."""

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
        self.predictions = Counter(
            "boatyard_predictions_total", "Answered inputs.", ["model", "label"], registry=self.registry
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
            "What a run took, tokenising included.",
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.batch = Histogram(
            "boatyard_batch_inputs",
            "Inputs that one run answered.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=self.registry,
        )
        self.scores = Histogram(
            "boatyard_prediction_score",
            "Probability of the label that was answered.",
            ["model"],
            buckets=[tenth / 10 for tenth in range(1, 11)],
            registry=self.registry,
        )
        self.models = Gauge(
            "boatyard_model_info",
            "1 for each loaded model.",
            ["name", "version", "kind"],
            registry=self.registry,
        )

        self.default_failed = Gauge(
            "boatyard_default_model_failed",
            "1 while what the default model's alias means cannot be loaded, and an older version serves or none.",
            registry=self.registry,
        )

    def watch_journal(self, journal: Journal) -> None:
        """Shows the journal as it is at each scrape."""
        self.registry.register(_JournalState(journal))

    def count(self, model: str, predictions: Iterable[Prediction]) -> None:
        """Counts what one request was answered with."""
        for prediction in predictions:
            self.predictions.labels(model, prediction.label).inc()
            self.scores.labels(model).observe(prediction.score)
            if prediction.truncated:
                self.truncated.labels(model).inc()

    def answered(self, route: str, status: int, seconds: float) -> None:
        """A request has its answer. `route`: the template of its path, or `other`."""
        self.requests.labels(route, status).inc()
        self.seconds.labels(route).observe(seconds)

    def ran(self, inputs: int, seconds: float) -> None:
        """A worker has answered so many inputs at once."""
        self.batch.observe(inputs)
        self.inference.observe(seconds)

    def loaded(self, manifest: Manifest) -> None:
        """The model is in memory."""
        self.models.labels(manifest.name, manifest.version, manifest.kind).set(1)

    def unloaded(self, manifest: Manifest) -> None:
        """The model gave way to another."""
        self.models.remove(manifest.name, manifest.version, manifest.kind)

    def page(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)


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
            "boatyard_journal_repairs", "Times that a part of the spool was gone and was made anew.", journal.repairs
        )
        yield GaugeMetricFamily(
            "boatyard_journal_refusing",
            "1 while the journal can take no line, and so no input is answered.",
            float(journal.trouble is not None),
        )
