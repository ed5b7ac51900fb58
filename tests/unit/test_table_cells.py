"""A cell is read alike from JSON, where it has a type, and from CSV, where all is text."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatyard.inputs.table.cells import KINDS, MISSING, Kind, WrongCell, read_cell

pytestmark = pytest.mark.unit

HUGE = 1 << 20_000  # more digits than Python spells


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("number", 78, 78.0),
        ("number", " 78.5 ", 78.5),
        ("number", "-1e3", -1000.0),
        ("number", Decimal("0.25"), 0.25),
        ("category", "WD ", "WD"),
        ("category", "None", "None"),
        ("category", 98178, "98178"),
        ("category", 98178.0, "98178"),
        ("category", True, "true"),
        ("date", "2024-05-31", "2024-05-31"),
        ("date", "20141013T000000", "2014-10-13"),
        ("date", datetime(2024, 5, 31, 23, 59), "2024-05-31"),
        ("date", date(2024, 5, 31), "2024-05-31"),
        ("truth", True, True),
        ("truth", "False", False),
        ("truth", 1, True),
        ("truth", "0", False),
    ],
)
def test_a_cell_is_read_as_its_column_has_it(kind: Kind, cell: object, value: object) -> None:
    read = read_cell(cell, kind, MISSING)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cell", [None, "", "  ", "NA", "n/a", "NaN", "null", "?", "-", float("nan"), Decimal("nan")])
def test_what_stands_for_a_missing_value_is_missing(kind: Kind, cell: object) -> None:
    assert read_cell(cell, kind, MISSING) is None


def test_which_words_mean_missing_can_be_said() -> None:
    assert read_cell("NA", "category", ("",)) == "NA", "of Namibia"
    assert read_cell("unknown", "number", ("unknown",)) is None


@pytest.mark.parametrize(
    ("kind", "cell", "message"),
    [
        ("number", "many", "holds 'many'; expected a number such as 1234.5, or nothing"),
        ("number", "1,234", "holds '1,234'; expected a number"),
        ("number", True, "holds True; expected a number"),
        ("number", "1e400", r"holds a number beyond 1e\+15; expected a number"),
        ("number", -2e15, r"holds a number beyond 1e\+15; expected a number"),
        ("category", "Gr\udcf6\udcdfe", "holds bytes that are not UTF-8, but perhaps Windows-1252"),
        ("number", [1], r"holds \[1\]; expected a number"),
        ("category", ["a"], r"holds \['a'\]; expected a word or a number"),
        ("category", "\ud800", "expected a word"),
        ("category", "x" * 201, "of 200 characters at most"),
        ("date", "31.05.2024", "holds '31.05.2024'; expected a date such as 2024-05-31"),
        ("date", 2024, "expected a date"),
        ("truth", "maybe", "expected true or false"),
        ("truth", 2, "expected true or false"),
    ],
)
def test_what_the_column_cannot_have_is_refused_with_what_would_be_right(kind: Kind, cell: Any, message: str) -> None:
    with pytest.raises(WrongCell, match=message):
        read_cell(cell, kind, MISSING)


@pytest.mark.parametrize("kind", KINDS)
def test_a_number_of_thousands_of_digits_is_refused(kind: Kind) -> None:
    with pytest.raises(WrongCell, match=r"holds a number beyond 1e\+15; expected"):
        read_cell(HUGE, kind, MISSING)


atoms = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
json_values = st.recursive(atoms, lambda some: st.lists(some) | st.dictionaries(st.text(), some))


@pytest.mark.parametrize("kind", KINDS)
@given(cell=json_values)
def test_whatever_json_holds_is_a_value_or_refused_and_a_value_reads_as_itself(kind: Kind, cell: object) -> None:
    try:
        value = read_cell(cell, kind, MISSING)
    except WrongCell:
        return
    assert read_cell(value, kind, MISSING) == value
