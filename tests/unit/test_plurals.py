"""A number with its noun."""

import pytest

from boatyard.config.plurals import counted

pytestmark = pytest.mark.unit


def test_one_is_no_plural() -> None:
    assert [counted(number, "row") for number in (0, 1, 2, 1234)] == ["0 rows", "1 row", "2 rows", "1,234 rows"]
    assert [counted(number, "row", ("has", "have")) for number in (0, 1, 2)] == [
        "0 rows have",
        "1 row has",
        "2 rows have",
    ]
