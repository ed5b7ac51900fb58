"""A row of a table taken apart into its columns."""

from pathlib import Path

import numpy as np
import pytest

from boatyard.inputs.table.parts import FILE, MOST, read_background, take_apart, write_background

pytestmark = pytest.mark.unit


def test_what_is_not_the_rows_own_is_the_background_rows() -> None:
    parts = take_apart(["area", "type"], (85.0, "flat"), [(1.0, None), (2.0, "villa")])
    assert [(part.name, part.field) for part in parts.names] == [("area", "area"), ("type", "type")]
    assert parts.backgrounds == 2
    kept = np.array([[True, True], [True, False], [False, True], [False, False]])
    assert parts.variants(kept, np.array([0, 1, 1, 0])) == [(85.0, "flat"), (85.0, "villa"), (2.0, "flat"), (1.0, None)]


def test_the_background_is_some_of_the_rows_as_they_are(tmp_path: Path) -> None:
    rows = [(float(number), None, "é", True) for number in range(500)]
    write_background(rows, tmp_path)
    background = read_background(tmp_path, 4)
    assert len(background) == MOST
    assert set(background) <= set(rows)
    write_background(rows[:3], tmp_path)
    assert read_background(tmp_path, 4) == rows[:3]


@pytest.mark.parametrize("content", ["[]", "{}", "[[1, 2]]", "[1]", "["])
def test_a_background_of_another_table_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(ValueError, match=r"rows of 3 columns|Expecting"):
        read_background(tmp_path, 3)
