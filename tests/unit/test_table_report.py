"""What the data report says of a table: what goes together, what is far out, and a picture of any columns."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from boatyard.inputs.table.correlations import correlations_section, strongest_pairs
from boatyard.inputs.table.outliers import find_outliers, outliers_section
from boatyard.inputs.table.plots import columns_png

pytestmark = pytest.mark.unit


def test_numbers_far_beyond_the_quartiles_are_outliers_the_furthest_first() -> None:
    values = np.array([*range(101), 251.0, 249.0, -151.0, -149.0, np.nan, 1e6])
    assert np.nanquantile(values, [0.25, 0.75]).tolist() == pytest.approx([24.25, 76.75])
    assert find_outliers(values).rows.tolist() == [106, 103, 101, 104, 102]
    assert not len(find_outliers(np.array([*range(101), 200.0])).rows)
    assert find_outliers(np.array([1.0, 2.0, 3.0, 4.0, 50.0, -90.0])).values.tolist() == [-90, 50]


@pytest.mark.parametrize("values", [[], [np.nan, np.nan], [5.0, 5.0, 5.0, 5.0, 900.0], [1.0, 2.0, 3.0]])
def test_where_most_numbers_are_the_same_or_none_is_there_nothing_is_far(values: list[float]) -> None:
    assert not len(find_outliers(np.array(values)).rows)


def test_the_report_names_the_rows_that_are_furthest_out() -> None:
    far = {"length": find_outliers(np.array([1.0, 2.0, 3.0, 4.0, 50.0, -90.0, 2.5])), "beam": find_outliers(np.ones(3))}
    (section,) = outliers_section(far, lambda row: f"boats.csv:{row + 2}")
    assert "3 quartile distances" in section.parts[0]
    assert section.parts[1].splitlines()[2:] == ["| length | 2 | -90 | boats.csv:7 |", "|  |  | 50 | boats.csv:6 |"]
    assert outliers_section({"beam": far["beam"]}, str) == []


def test_pairs_of_columns_are_listed_by_how_far_they_go_together() -> None:
    draw = np.random.default_rng(0)
    length = draw.normal(8, 2, 500)
    columns: dict[str, Any] = {
        "length": length.tolist(),
        "draught": (-length + draw.normal(0, 2, 500)).tolist(),
        "feet": [None, *(length[1:] * 3.28)],
        "luck": draw.normal(size=500).tolist(),
        "hull": ["wood"] * 500,
        "large": (length > 8).tolist(),
    }
    kinds: Any = dict.fromkeys(columns, "number") | {"hull": "category", "large": "truth"}
    pairs = strongest_pairs(columns, kinds)
    assert pairs[0][:2] == ("length", "feet")
    assert pairs[0].correlation == pytest.approx(1)
    assert ("length", "draught") in {pair[:2] for pair in pairs if pair.correlation < -0.5}
    assert not {"luck", "hull"} & {name for pair in pairs for name in pair[:2]}
    (section,) = correlations_section(pairs)
    assert "| length | feet | +1.000 |" in section.parts[1]
    assert correlations_section([]) == []


@pytest.mark.parametrize(
    ("targets", "names"),
    [
        (np.linspace(1e5, 2e6, 60), []),
        (np.arange(60) % 3, ["red", "$x_{$", "_hidden"]),
        (np.arange(60) % 30, [str(label) for label in range(30)]),
        (np.arange(60) % 2, []),
    ],
)
def test_any_columns_can_be_drawn_against_any_target(tmp_path: Path, targets: Any, names: list[str]) -> None:
    columns: dict[str, list[Any]] = {
        "number": [None, *map(float, range(59))],
        "constant $x_{$": [1.0] * 60,
        "nothing": [None] * 60,
        "date": ["2020-01-01", None] * 30,
        "truth": [True, False, None] * 20,
        "category": [f"$x_{{$ {place % 12}" for place in range(60)],
    }
    kinds: Any = dict(zip(columns, ("number", "number", "number", "date", "truth", "category"), strict=True))
    columns_png(tmp_path / "x.png", columns, kinds, targets, names)
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.format == "PNG"
