"""What a column is, is found by its cells; what tells nothing is left out with the reason."""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from boatyard.config.errors import UserError
from boatyard.inputs.table.cells import MISSING
from boatyard.inputs.table.kinds import Found, find_kinds
from boatyard.inputs.training_protocol import Source, SourceRow

pytestmark = pytest.mark.unit

chance = random.Random(0)
ROWS = 200


def source(columns: Mapping[str, Sequence[Any]], name: str = "rows.csv") -> Source:
    def rows() -> Iterator[SourceRow]:
        for number, cells in enumerate(zip(*columns.values(), strict=True), 2):
            yield SourceRow(number, {key: cell for key, cell in zip(columns, cells, strict=True) if cell is not ...})

    return Source(name, None, "0", rows)


def find(**columns: Sequence[Any]) -> Found:
    return find_kinds([source(columns)], {}, set(), MISSING)


WORDS = ("the", "boat", "leaks", "and", "has", "an", "engine", "from", "Hull")


@pytest.mark.parametrize(
    ("kind", "cells"),
    [
        ("number", [str(chance.random()) for _ in range(ROWS)]),
        ("number", ["", *[str(chance.randint(0, 9)) for _ in range(ROWS - 1)]]),
        ("number", [*["some"] * 9, *range(ROWS - 9)]),
        ("number", [10 ** chance.randint(1, 9) for _ in range(ROWS)]),
        ("category", [chance.choice("abc") for _ in range(ROWS)]),
        ("category", [*["3+"] * 60, *(place % 3 for place in range(ROWS - 60))]),
        ("category", [chance.choice("yn") for _ in range(ROWS)]),
        ("category", [*["pool"] * 3, *[None] * (ROWS - 8), *["pool"] * 5]),
        ("date", [f"2024-{chance.randint(1, 12):02}-01" for _ in range(ROWS)]),
        ("date", [f"2014{chance.randint(1, 12):02}13T000000" for _ in range(ROWS)]),
        ("truth", [chance.choice(["true", "false", ""]) for _ in range(ROWS)]),
        ("truth", [chance.random() < 0.5 for _ in range(ROWS)]),
        ("truth", [chance.choice(["yes", "no"]) for _ in range(ROWS)]),
    ],
)
def test_a_column_is_what_nine_cells_in_ten_are(kind: str, cells: Sequence[Any]) -> None:
    assert find(column=cells).kinds == {"column": kind}


@pytest.mark.parametrize(
    ("name", "cells", "reason"),
    [
        ("column", ["one"] * ROWS, "the same value in each row"),
        ("column", ["?"] * ROWS, "no value in any row"),
        ("column", range(7, ROWS + 7), "numbers the rows"),
        ("customer_id", [chance.randint(0, 10**9) for _ in range(ROWS)], "numbers the rows, or names them"),
        ("customerId", [chance.randint(0, 10**9) for _ in range(ROWS)], "numbers the rows, or names them"),
        ("column", [f"{chance.random():.9f}x" for _ in range(ROWS)], "nearly each value is another"),
        ("column", [" ".join(chance.choices(WORDS, k=12)) for _ in range(ROWS)], "is free text"),
        ("column", ["x" * 300] * (ROWS - 1) + ["y"], "is free text"),
        ("column", [f"level {place // 3}" for place in range(ROWS)], "no value that 5 rows share"),
        ("column", [f"{chance.randint(1, 28)}.05.2024" for _ in range(ROWS)], "holds dates, but not as 2024-05-31"),
        ("column", [[1], [2]] * (ROWS // 2), "neither a number, a word"),
        ("", range(ROWS), "has no name"),
        ("boatyard.target", [chance.random() for _ in range(ROWS)], "a name that boatyard uses itself"),
    ],
)
def test_what_tells_nothing_is_left_out_with_the_reason(name: str, cells: Sequence[Any], reason: str) -> None:
    found = find(**{name: cells})
    assert found.kinds == {}
    assert reason in found.left_out[name]


def test_a_paid_grid_is_no_id() -> None:
    numbers = [chance.randint(0, 10**9) for _ in range(ROWS)]
    assert find(paid=numbers, grid=numbers, valid=numbers).left_out == {}


def test_what_is_said_is_believed() -> None:
    columns = {"zip": [98000 + chance.randint(0, 9) for _ in range(ROWS)], "one": ["one"] * ROWS}
    found = find_kinds([source(columns)], {"zip": "category", "one": "category"}, set(), MISSING)
    assert found.kinds == {"zip": "category", "one": "category"}


def test_words_that_mean_missing_are_counted() -> None:
    found = find(column=[*["NA"] * 3, *["na"] * 2, "", None, *range(0, 300, 3)])
    assert found.missing["column"] == {"NA": 3, "na": 2, "": 2}


def test_a_key_that_some_rows_of_json_lines_lack_is_no_constant() -> None:
    assert find(column=[*["pool"] * 50, *[...] * 50]).kinds == {"column": "category"}


def test_other_columns_are_passed_over() -> None:
    found = find_kinds([source({"area": [1.5, 2.5, 9.0], "price": [1, 2, 4]})], {}, {"price"}, MISSING)
    assert (found.names, list(found.kinds)) == ({"area", "price"}, ["area"])


def test_a_column_that_one_of_several_files_lacks_is_named() -> None:
    both, one = {"area": [1.5, 2.5], "rooms": [1, 3]}, {"area": [1.5, 2.5]}
    with pytest.raises(UserError, match=r"test\.csv: column 'rooms' is missing; data\.drop leaves it out everywhere"):
        find_kinds([source(both, "train.csv"), source(one, "test.csv")], {}, set(), MISSING)


def test_ten_thousand_levels_are_an_id_and_take_little_memory() -> None:
    found = find(column=[f"name {place}" for place in range(20_000)])
    assert "names the rows" in found.left_out["column"]


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("column", [f"{chance.randint(0, 20):05}" for _ in range(ROWS)]),
        ("zip", [98000 + chance.randint(0, 9) for _ in range(ROWS)]),
        ("zipcode", [98000 + chance.randint(0, 9) for _ in range(ROWS)]),
        ("Postal Code", [98000 + chance.randint(0, 9) for _ in range(ROWS)]),
        ("store_id", [chance.randint(1, 9) for _ in range(ROWS)]),
    ],
)
def test_numbers_that_name_something_are_a_category(name: str, cells: Sequence[Any]) -> None:
    assert find(**{name: cells}).kinds == {name: "category"}


@pytest.mark.parametrize(
    "cell", ["1.234,56", "$1,234.00", "€ 99", "12,5 %", "7%", "1 234", "1'234.5", "-1,234", "1,234,567"]
)
def test_numbers_that_are_written_otherwise_are_left_out_with_a_warning(cell: str) -> None:
    found = find(column=[*[cell] * (ROWS - 9), *[f"{place},5" for place in range(9)]])
    assert found.left_out == {"column": "holds numbers, but not as 1234.5"}
    assert found.doubts == {"column": "holds numbers, but not as 1234.5: it is left out until it is written so"}


@pytest.mark.parametrize(
    "cells", [["Köln", "Bonn"], ["3+", "4"], ["1-2", "3-4"], ["A1", "B2"], ["v1.2", "v1.3"], ["5 kg", "x"]]
)
def test_words_are_no_numbers_however_many_digits_they_have(cells: Sequence[str]) -> None:
    found = find(column=cells * (ROWS // 2))
    assert (found.kinds, found.doubts) == ({"column": "category"}, {})


def test_a_word_among_numbers_that_may_mean_a_missing_value_is_named() -> None:
    found = find(column=[*["unknown"] * 40, *range(0, 480, 3)])
    assert found.doubts == {"column": "holds numbers but for 'unknown': does that mean a missing value (data.missing)?"}
