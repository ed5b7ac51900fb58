"""What a page draws of a column: the same bins or categories for the reference and the window."""

import numpy as np
import pytest

from boatyard.journal.columns import Column
from boatyard.monitor.finding import finding
from boatyard.monitor.spread import spread

pytestmark = pytest.mark.unit

NAN = float("nan")


def test_many_numbers_share_bins_and_outliers_lie_in_the_outer_ones() -> None:
    draw = np.random.default_rng(0)
    before, now = draw.normal(0, 1, 3000), np.append(draw.normal(2, 1, 999), 1e9)
    shares = spread(before, now)
    assert len(shares.edges) == len(shares.reference) + 1 == len(shares.window) + 1
    assert -4 < shares.edges[0] < shares.edges[-1] < 6
    assert sum(shares.reference) == pytest.approx(1, abs=1e-4)
    assert sum(shares.window) == pytest.approx(1, abs=1e-4)
    middle = np.mean([shares.edges[:-1], shares.edges[1:]], axis=0)
    assert np.dot(shares.window, middle) - np.dot(shares.reference, middle) == pytest.approx(2, abs=0.2)


def test_few_numbers_have_a_bin_each_and_missing_ones_none() -> None:
    shares = spread(np.array([1, 1, 2, NAN]), np.array([2, 4.0]))
    assert shares.edges == [0.5, 1.5, 3.0, 5.0]
    assert (shares.reference, shares.window) == ([0.5, 0.25, 0.0], [0.0, 0.5, 0.5])


@pytest.mark.parametrize("before", [[3.0, 3.0], [3.0, NAN], [3.0] * 1000 + [1e300, 5e-324]])
@pytest.mark.parametrize("now", [[3.0], [NAN, NAN], [*range(100)] + [3.0] * 10_000])
def test_any_numbers_have_bins(before: list[float], now: list[float]) -> None:
    shares = spread(np.array(before), np.array(now))
    assert np.isfinite(shares.edges).all()
    assert (np.diff(shares.edges) > 0).all()
    assert max(sum(shares.reference), sum(shares.window)) <= 1 + 1e-4


def test_categories_are_the_most_frequent_of_either_side() -> None:
    before = [f"c{number}" for number in range(100) for _ in range(100 - number)]
    shares = spread(np.array(before), np.array(["new"] * 30 + ["c99"] * 50 + [""] * 20))
    assert shares.categories[0] == "c0"
    assert {"new", "c99", ""} < set(shares.categories)
    assert len(shares.categories) == 12
    assert shares.window[shares.categories.index("new")] == 0.3
    assert shares.reference[shares.categories.index("new")] == 0


def test_a_finding_says_what_is_missing() -> None:
    of_number, of_category = Column("a", "the column a"), Column("b", "the column b", category=True)
    found = finding(of_number, np.array([1.0, 2.0, 3.0, NAN]), np.array([250_000.0, NAN]))
    assert found.startswith(
        "The column a is 250,000 on average, against 2 in the reference, and missing in 50.0% of cases"
    )
    assert "missing" not in finding(of_number, np.array([1.0]), np.array([2.0]))
    found = finding(of_category, np.array(["x", "x"]), np.array(["x", ""]))
    assert found == "The column b is missing in 50.0% of cases, against 0.0% in the reference"
