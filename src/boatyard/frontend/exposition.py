"""What Prometheus would read of the api, read here."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf

from prometheus_client.parser import text_string_to_metric_families


@dataclass
class Requests:
    """Answered requests of one route."""

    by_status: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    buckets: dict[float, float] = field(default_factory=dict)
    """How many took at most so many seconds."""

    @property
    def answered(self) -> int:
        """All of them."""
        return sum(self.by_status.values())

    @property
    def failed(self) -> int:
        """Those that the server is to blame for."""
        return sum(count for status, count in self.by_status.items() if status.startswith("5"))

    def quantile(self, share: float) -> float | None:
        """Seconds that this share of requests took at most, interpolated as Prometheus does."""
        total, below, since = self.buckets.get(inf, 0.0), 0.0, 0.0
        if not total:
            return None
        for edge, count in sorted(self.buckets.items()):
            if count >= share * total:
                if edge == inf:  # slower than the last bucket tells
                    return since
                return since + (edge - since) * (share * total - below) / max(count - below, 1e-9)
            below, since = count, edge
        return None


@dataclass
class Traffic:
    """What one server has done since it started."""

    routes: dict[str, Requests] = field(default_factory=lambda: defaultdict(Requests))
    labels: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    truncated: int = 0
    gauges: dict[str, float] = field(default_factory=dict)

    @property
    def journal_lag(self) -> float:
        """Seconds that the oldest line waits to be shipped; 0 where all are."""
        return self.gauges.get("boatyard_journal_lag_seconds", 0.0)

    def requests(self, routes: Iterable[str]) -> Requests:
        """Several routes as one; their histograms have the same buckets."""
        joined = Requests()
        for route in routes:
            one = self.routes[route]
            for status, count in one.by_status.items():
                joined.by_status[status] += count
            for edge, below in one.buckets.items():
                joined.buckets[edge] = joined.buckets.get(edge, 0.0) + below
        return joined


def read_traffic(text: str) -> Traffic:
    """From the text of /metrics. Raises ValueError."""
    traffic = Traffic()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            named, value = sample.labels, sample.value
            if sample.name == "boatyard_requests_total":
                traffic.routes[named["route"]].by_status[named["status"]] += int(value)
            elif sample.name == "boatyard_request_duration_seconds_bucket":
                traffic.routes[named["route"]].buckets[float(named["le"])] = value
            elif sample.name == "boatyard_predictions_total":
                traffic.labels[named["label"]] += int(value)
            elif sample.name == "boatyard_truncated_total":
                traffic.truncated += int(value)
            elif family.type == "gauge" and not named:
                traffic.gauges[sample.name] = value
    return traffic
