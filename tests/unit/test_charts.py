"""Bars stand in the order of their rows, also where a chart is drawn again with other rows."""

from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest

from boatyard.frontend import charts, column_charts

pytestmark = pytest.mark.unit

NAMES = ["identity_verification", "charge_unknown", "card_lost"]
ROWS = [
    {"name": name, "share": share, "count": 9, "effect": share, "value": share, "low": 0, "high": 1, "chosen": False}
    for name, share in zip(NAMES, (0.3, 0.2, 0.1), strict=True)
]
SPREAD = {"categories": NAMES, "reference": [0.3, 0.2, 0.1], "window": [0.1, 0.2, 0.3]}


@pytest.fixture(autouse=True)
def colours() -> Iterator[None]:
    with mock.patch("boatyard.frontend.charts.theme", return_value="#ffffff"):  # which only Streamlit's server reads
        yield


def orders(chart: Any) -> list[list[str] | None]:
    """By each axis of names in the chart's specification; None leaves it to what was drawn before."""
    layers = (spec := chart.to_dict()).get("layer", [spec])
    return [layer["encoding"]["y"]["sort"] for layer in layers if "y" in layer["encoding"]]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: charts.shares(ROWS),
        lambda: charts.totals(ROWS),  # part: monitor
        lambda: charts.effects(ROWS),
        lambda: charts.intervals(ROWS, "share"),
        lambda: column_charts.spread(SPREAD),
    ],
)
def test_bars_have_the_order_of_their_rows_spelled_out(draw: Callable[[], Any]) -> None:
    found = orders(draw())
    assert found
    assert all(order == NAMES for order in found)
