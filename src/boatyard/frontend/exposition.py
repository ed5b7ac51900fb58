"""Reads the api's Prometheus metrics."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf

from prometheus_client import parser
from prometheus_client.samples import Sample

Buckets = dict[float, float]
"""A cumulative histogram: counts by upper bound, the last of which is infinite."""


@dataclass
class Requests:
    """Answered requests of one route."""

    by_status: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    buckets: Buckets = field(default_factory=dict)
    """By duration in seconds."""

    @property
    def answered(self) -> int:
        """All of them."""
        return sum(self.by_status.values())

    @property
    def failed(self) -> int:
        """Server errors."""
        return sum(count for status, count in self.by_status.items() if status.startswith("5"))

    def quantile(self, share: float) -> float | None:
        """The quantile in seconds, interpolated as Prometheus does."""
        total, below, since = self.buckets.get(inf, 0.0), 0.0, 0.0
        if not total:
            return None
        for edge, count in sorted(self.buckets.items()):
            if count >= share * total:
                if edge == inf:  # beyond the last finite bucket
                    return since
                return since + (edge - since) * (share * total - below) / max(count - below, 1e-9)
            below, since = count, edge
        return None


@dataclass
class Traffic:
    """The metrics of one server since it started."""

    routes: dict[str, Requests] = field(default_factory=lambda: defaultdict(Requests))
    predictions: int = 0
    categories: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    """By column, answers of each category."""
    numbers: dict[tuple[str, str], Buckets] = field(default_factory=lambda: defaultdict(dict))
    """By model and column: two models' numbers may have different units."""
    truncated: int = 0
    gauges: dict[str, float] = field(default_factory=dict)

    @property
    def journal_lag(self) -> float:
        """The age in seconds of the oldest line that is not shipped; 0 if all are."""
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


def read_traffic(exposition: str) -> Traffic:
    """Parses the response of /metrics. Raises ValueError."""
    traffic = Traffic()
    for family in parser.text_string_to_metric_families(exposition):
        for sample in family.samples:
            if family.type == "gauge" and not sample.labels:
                traffic.gauges[sample.name] = sample.value
            else:
                _add(traffic, sample)
    return traffic


def _add(traffic: Traffic, sample: Sample) -> None:
    of, value = sample.labels, sample.value
    match sample.name:
        case "boatyard_requests_total":
            traffic.routes[of["route"]].by_status[of["status"]] += int(value)
        case "boatyard_request_duration_seconds_bucket":
            traffic.routes[of["route"]].buckets[float(of["le"])] = value
        case "boatyard_predictions_total":
            traffic.predictions += int(value)
        case "boatyard_answers_total":
            traffic.categories[of["column"]][of["category"]] += int(value)
        case "boatyard_answer_number_bucket":
            traffic.numbers[of["model"], of["column"]][float(of["le"])] = value
        case "boatyard_truncated_total":
            traffic.truncated += int(value)


def counts(buckets: Buckets) -> list[tuple[float, float, int]]:
    """The bounds and the count of each bucket, from the first to the last that is not empty."""
    edges = [(-inf, 0.0), *sorted(buckets.items())]
    each = [(low, high, int(upto - below)) for (low, below), (high, upto) in pairwise(edges)]
    filled = [index for index, (_, _, count) in enumerate(each) if count]
    return each[filled[0] : filled[-1] + 1] if filled else []
