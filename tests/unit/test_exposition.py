"""What the traffic page reads from /metrics."""

import pytest

from boatyard.frontend.exposition import read_traffic

pytestmark = pytest.mark.unit

TEXT = """\
# TYPE boatyard_requests_total counter
boatyard_requests_total{route="/predict",status="200"} 96.0
boatyard_requests_total{route="/predict",status="503"} 4.0
boatyard_requests_total{route="/models",status="200"} 10.0
# TYPE boatyard_request_duration_seconds histogram
boatyard_request_duration_seconds_bucket{le="0.01",route="/predict"} 50.0
boatyard_request_duration_seconds_bucket{le="0.02",route="/predict"} 90.0
boatyard_request_duration_seconds_bucket{le="+Inf",route="/predict"} 100.0
# TYPE boatyard_predictions_total counter
boatyard_predictions_total{label="fees",model="inbox"} 7.0
boatyard_predictions_total{label="fees",model="outbox"} 1.0
# TYPE boatyard_truncated_total counter
boatyard_truncated_total{model="inbox"} 2.0
# TYPE boatyard_queue_inputs gauge
boatyard_queue_inputs 3.0
"""


def test_requests_errors_and_labels_are_counted_over_models_and_routes() -> None:
    traffic = read_traffic(TEXT)
    all_of_them = traffic.requests(["/predict", "/models"])
    assert (all_of_them.answered, all_of_them.failed) == (110, 4)
    assert traffic.labels == {"fees": 8}
    assert (traffic.truncated, traffic.gauges) == (2, {"boatyard_queue_inputs": 3.0})


@pytest.mark.parametrize(
    ("share", "seconds"),
    [(0.25, 0.005), (0.5, 0.01), (0.7, 0.015), (0.99, 0.02)],
    ids=["in the first bucket", "at an edge", "between two", "beyond the last edge"],
)
def test_a_quantile_lies_where_prometheus_puts_it(share: float, seconds: float) -> None:
    assert read_traffic(TEXT).requests(["/predict"]).quantile(share) == pytest.approx(seconds)


def test_without_requests_there_is_no_quantile() -> None:
    assert read_traffic("").requests(["/predict"]).quantile(0.5) is None


def test_what_is_no_exposition_is_refused() -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - prometheus_client says no more
        read_traffic('<html lang="en">')
