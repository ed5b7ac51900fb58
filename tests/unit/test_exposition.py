"""What the traffic page reads from /metrics."""

from math import inf

import pytest

from boatyard.frontend.exposition import counts, read_traffic

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
boatyard_predictions_total{model="ferry"} 7.0
boatyard_predictions_total{model="outbox"} 1.0
# TYPE boatyard_answers_total counter
boatyard_answers_total{category="fees",column="label",model="ferry"} 7.0
boatyard_answers_total{category="fees",column="label",model="outbox"} 1.0
# TYPE boatyard_answer_number histogram
boatyard_answer_number_bucket{column="score",le="0.8",model="ferry"} 0.0
boatyard_answer_number_bucket{column="score",le="0.9",model="ferry"} 2.0
boatyard_answer_number_bucket{column="score",le="1.0",model="ferry"} 7.0
boatyard_answer_number_bucket{column="score",le="+Inf",model="ferry"} 7.0
boatyard_answer_number_bucket{column="score",le="0.5",model="outbox"} 1.0
boatyard_answer_number_bucket{column="score",le="+Inf",model="outbox"} 1.0
# TYPE boatyard_truncated_total counter
boatyard_truncated_total{model="ferry"} 2.0
# TYPE boatyard_queue_inputs gauge
boatyard_queue_inputs 3.0
"""


def test_requests_errors_and_categories_are_counted_over_models_and_routes() -> None:
    traffic = read_traffic(TEXT)
    all_of_them = traffic.requests(["/predict", "/models"])
    assert (all_of_them.answered, all_of_them.failed) == (110, 4)
    assert traffic.predictions == 8
    assert traffic.categories == {"label": {"fees": 8}}
    assert (traffic.truncated, traffic.gauges) == (2, {"boatyard_queue_inputs": 3.0})


def test_numbers_are_counted_by_model_in_the_buckets_that_hold_some() -> None:
    numbers = read_traffic(TEXT).numbers
    assert counts(numbers["ferry", "score"]) == [(0.8, 0.9, 2), (0.9, 1.0, 5)]
    assert counts(numbers["outbox", "score"]) == [(-inf, 0.5, 1)]
    assert counts({1.0: 0, inf: 3}) == [(1.0, inf, 3)]
    assert counts({1.0: 0, inf: 0}) == []


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
