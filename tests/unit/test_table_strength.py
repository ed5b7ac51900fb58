"""How much a column tells of the target, and which one gives it away."""

from typing import Any

import numpy as np
import pytest

from boatyard.inputs.table.cells import Kind
from boatyard.inputs.table.strength import addends, giving_away, strengths

pytestmark = pytest.mark.unit

random = np.random.default_rng(0)
PRICES = np.exp(random.normal(12, 0.5, 600))
CLASSES = random.integers(0, 3, 600)


def tell(values: Any, kind: Any, targets: Any) -> float:
    return strengths({"column": list(values)}, {"column": kind}, targets)["column"]


@pytest.mark.parametrize(
    ("kind", "values", "targets"),
    [
        ("number", PRICES * 1.2, PRICES),
        ("number", np.where(random.random(600) < 0.02, None, PRICES), PRICES),
        ("number", CLASSES * 10.0, CLASSES),
        ("category", [f"class {value}" for value in CLASSES], CLASSES),
        ("truth", CLASSES > 0, (CLASSES > 0).astype(int)),
    ],
)
def test_a_column_that_is_made_of_the_target_gives_it_away(kind: Any, values: Any, targets: Any) -> None:
    strength = tell(values, kind, targets)
    assert giving_away({"column": strength}, targets) == ["column"]


@pytest.mark.parametrize(
    ("kind", "values", "targets", "low", "high"),
    [
        ("number", random.random(600), PRICES, 0, 0.02),
        ("number", PRICES + random.normal(0, PRICES.std(), 600), PRICES, 0.3, 0.7),
        ("number", (np.log(PRICES) - 12) ** 2, np.log(PRICES), 0, 0.3),
        ("category", ["north" if price > 160_000 else "south" for price in PRICES], np.log(PRICES), 0.4, 0.8),
        ("date", ["2024-05-31", None] * 300, PRICES, 0, 0.02),
        ("category", ["one"] * 600, CLASSES, 0, 0),
        ("number", [1.0] * 600, PRICES, 0, 0),
        ("number", [None] * 600, PRICES, 0, 0),
    ],
)
def test_what_chance_blurs_is_told_in_part(kind: Any, values: Any, targets: Any, low: float, high: float) -> None:
    strength = tell(values, kind, targets)
    assert low <= strength <= high
    assert giving_away({"column": strength}, targets) == []


def test_of_a_frequent_class_always_saying_it_tells_nothing() -> None:
    rare = (random.random(600) < 0.01).astype(int)
    assert tell(random.random(600), "number", rare) < 0.2, "though 99% of the rows are right"


def test_few_rows_tell_nothing() -> None:
    assert strengths({"column": [1.0] * 9}, {"column": "number"}, PRICES[:9]) == {}


def test_a_target_that_columns_add_up_to_is_seen() -> None:
    random = np.random.default_rng(0)
    parts = {name: random.integers(0, 99, 500).astype(float) for name in ("casual", "registered", "wind")}
    kinds: dict[str, Kind] = dict.fromkeys(parts, "number")
    columns = {name: values.tolist() for name, values in parts.items()}
    total = parts["casual"] + 3 * parts["registered"] + 7
    assert addends(columns, kinds, total) == ["registered", "casual"]
    assert addends(columns, kinds, total + random.normal(0, 20, 500)) == []
    assert addends(columns, kinds, parts["wind"]) == [], "one that says all is told by itself"
    assert addends({**columns, "casual": [None, *columns["casual"][1:]]}, kinds, random.random(500)) == []
