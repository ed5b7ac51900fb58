"""Which rows of a table are measured by themselves, and what the reports say of them."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from boatyard.evaluate.groups import groups_section, measure_groups
from boatyard.inputs.table.groups import groups
from boatyard.tasks.regression.metrics import score

pytestmark = pytest.mark.unit

KINDS = {"hull": "category", "length": "number", "sails": "truth", "flag": "category", "berth": "category"}


def data(**kinds: str) -> Any:
    return SimpleNamespace(columns=kinds or KINDS, input="table", task="regression")


def boats() -> list[tuple[Any, ...]]:
    """200, by hull 90 of wood, 60 of steel, 40 that nobody knows and 10 of reed; each has a berth of its own."""
    hulls = ["wood"] * 90 + ["steel"] * 60 + [None] * 40 + ["reed"] * 10
    return [(hull, 7.0, place % 4 == 0, "NL", f"berth {place}") for place, hull in enumerate(hulls)]


def test_of_each_column_that_divides_the_rows_the_three_largest_levels_a_missing_one_included() -> None:
    found = [(group.by, group.name, len(group.rows)) for group in groups(data(), boats())]
    assert found == [
        ("hull", "wood", 90),
        ("hull", "steel", 60),
        ("hull", "missing", 40),
        ("sails", "false", 150),
        ("sails", "true", 50),
    ]
    assert groups(data(), boats())[2].rows.tolist() == list(range(150, 190))


def test_of_many_columns_those_that_divide_the_rows_best_in_the_order_of_the_table() -> None:
    names = [f"column {place}" for place in range(20)]
    rows = [tuple("a" if row < 100 + 5 * place else "b" for place in range(20)) for row in range(200)]
    found = groups(data(**dict.fromkeys(names, "category")), rows)
    assert [group.by for group in found[::2]] == names[:6]


def test_no_rows_have_no_groups() -> None:
    assert groups(data(), []) == []


def test_each_group_has_the_primary_score_and_what_the_task_wants_beside_those_of_all_rows() -> None:
    truths = np.full(200, 100.0)
    outputs = {"value": truths + np.repeat([1.0, 20.0], [90, 110]), "spread": np.ones(200)}
    target = {"log": False, "quantiles": [float(percent) for percent in range(1, 100)]}
    config: Any = SimpleNamespace(data=data())
    prepared: Any = SimpleNamespace(data=data(), rows=lambda _: boats(), targets=lambda _: truths)
    measured = measure_groups(config, prepared, "test", outputs, target)
    assert [score.name for score in measured[0].scores] == [
        "mean_absolute_error",
        "mean_absolute_percentage_error",
        "interval_coverage",
    ]
    assert [each.scores[0].value for each in measured[:3]] == [1, 20, 20]
    assert measured[1].as_json()["rows"] == 60
    (section,) = groups_section(measured, score(outputs, truths, target, config))
    lines = section.parts[1].splitlines()
    assert lines[3].startswith("| hull | steel | 60 | 20.00 ")
    assert lines[-1].startswith("|  | all rows | 200 | 11.45 ")


def test_a_score_that_only_some_groups_have_is_not_shown() -> None:
    """Of a truth of 0 there is no percentage."""
    truths = np.arange(200.0)
    outputs = {"value": truths + 1}
    config: Any = SimpleNamespace(data=data())
    prepared: Any = SimpleNamespace(data=data(), rows=lambda _: boats()[::-1], targets=lambda _: truths[::-1])
    measured = measure_groups(config, prepared, "test", outputs, {})
    (section,) = groups_section(measured, score(outputs, truths, {}, config))
    assert section.parts[1].splitlines()[0] == "|  | Group | Rows | Mean absolute error |"


def test_without_groups_there_is_no_section() -> None:
    assert groups_section([], SimpleNamespace()) == []  # type: ignore[arg-type]
