"""Rows of a table become two arrays, by what training rows had."""

from pathlib import Path

import numpy as np
import pytest

from boatyard.inputs.protocol import Feeds
from boatyard.inputs.table.cells import MISSING, Kind
from boatyard.inputs.table.columns import Columns, Row, read_columns
from boatyard.inputs.table.facts import learn_columns
from boatyard.inputs.table.rows import show
from boatyard.inputs.table.serving import TableInput

pytestmark = pytest.mark.unit

KINDS: dict[str, Kind] = {"area": "number", "type": "category", "sold": "date", "lift": "truth", "zip": "category"}
ROWS: list[Row] = [
    *[(float(area), "flat", "2024-05-31", True, "a") for area in range(60, 65)],
    *[(100.0, "house", "2020-02-29", None, "b")] * 5,
    *[(None, "boat", "2019-01-01", False, None)] * 4,
]


def learnt() -> Columns:
    return learn_columns(KINDS, MISSING, ROWS)


def batch(columns: Columns, rows: list[Row]) -> Feeds:
    table = TableInput(columns)
    return table.collate(table.encode(rows))


def test_levels_are_those_of_five_rows_and_ranges_those_of_all() -> None:
    area, type_, sold, lift, zip_ = learnt().columns
    assert (area.lowest, area.highest) == (60, 100)
    assert (sold.lowest, sold.highest) == ("2019-01-01", "2024-05-31")
    assert type_.levels == ("flat", "house"), "four boats are too few"
    assert (lift.lowest, lift.levels) == (None, ())
    assert [column.always for column in (area, type_, sold, lift, zip_)] == [False, True, True, False, False]


def test_a_batch_has_a_number_or_three_for_each_column_and_a_code_for_each_category() -> None:
    columns = learnt()
    rows: list[Row] = [(78.0, "house", "2024-05-31", True, "b"), (None, "castle", None, None, None)]
    feeds = batch(columns, rows)
    assert {name: array.dtype for name, array in feeds.items()} == {"numbers": np.float64, "categories": np.int64}
    day = (np.datetime64("2024-05-31") - np.datetime64("1970-01-01")).astype(int)
    np.testing.assert_array_equal(feeds["numbers"], [[78, 2024, 5, day, 1], [np.nan] * 5])
    np.testing.assert_array_equal(feeds["categories"], [[2, 2], [0, 0]])
    assert columns.number_names == ["area", "sold (year)", "sold (month)", "sold (day)", "lift"]
    assert columns.category_owners == [1, 4]
    assert columns.cardinalities == [3, 3]


def test_a_table_without_categories_or_numbers_has_empty_arrays() -> None:
    for kind, value, widths in (("number", 1.0, (1, 0)), ("category", "a", (0, 1))):
        columns = learn_columns({"one": kind}, (), [(value,)] * 9)
        feeds = batch(columns, [(value,)] * 2)
        assert (feeds["numbers"].shape, feeds["categories"].shape) == ((2, widths[0]), (2, widths[1]))


def test_columns_are_read_as_they_were_written(tmp_path: Path) -> None:
    columns = learnt()
    columns.write(tmp_path)
    assert read_columns(tmp_path) == columns


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "does not describe columns"),
        ("{", "Expecting"),
        ('{"columns": [{"name": "a"}], "missing": []}', "does not describe columns"),
        ('{"columns": [{"name": "a", "kind": "image", "levels": []}], "missing": []}', "of the kind image"),
    ],
)
def test_a_file_that_describes_no_columns_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "columns.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_columns(tmp_path)


def test_a_shown_row_has_a_dash_where_a_value_is_missing() -> None:
    assert show(["Ale", 4.0, None, True]) == "Ale | 4 | - | True"
