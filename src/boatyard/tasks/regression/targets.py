"""The numbers of the rows that are being prepared: read and checked."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boatyard.data.ledger import TRAIN, Findings, Ledger
from boatyard.inputs.training_protocol import Problem
from boatyard.tasks.defaults import Numbers, target_columns  # noqa: F401 - target_columns for `training`
from boatyard.tasks.protocol import Target, Truth
from boatyard.tasks.regression.serving import LARGEST

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|nan|[+-]?inf(inity)?", re.ASCII | re.IGNORECASE)
_BUCKETS = 10
_SKEWED = 1.0  # a skewness beyond which a distribution is commonly called highly skewed; a normal one's is 0
_FEWEST_DIGITS, _MOST_DIGITS = 3, 17  # of a float
_GROUPS = ("lowest third", "middle third", "highest third")
_LONGEST_SHOWN = 40  # characters
_PILE, _PILE_HEIGHT = 0.02, 10  # share of the rows, and times as many as a number usually has


def open_targets(data: Any) -> "Values":
    """Of the column `data.target`."""
    return Values(data)


def refusal(target: Target) -> str | None:
    """There must be something to tell apart."""
    if target["minimum"] is None:
        return "no row with a number is left to train on"
    if target["minimum"] == target["maximum"]:
        return f"every row has the same number, {target['minimum']:.15g}: there is nothing to learn"
    return None


def truth(stored: Any, target: Target) -> Truth:  # noqa: ARG001 - every task's signature
    """`stored`: the number."""
    return {"value": float(stored)}


def cell(truth: Truth) -> Any:
    """The number."""
    return truth["value"]


class Values(Numbers):
    """One for each row."""

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        self._unit: str | None = data.unit
        self._thirds: list[float] = []

    def read(self, cells: Mapping[str, Any]) -> float | Problem:
        """A number, or a text that is one in digits, with a point before decimals."""
        cell = cells.get(self.column)
        if isinstance(cell, str):
            cell = cell.strip()
        if cell is None or cell == "":
            return Problem("missing_column", self.column, "has no value; every row needs a number")
        is_number = isinstance(cell, int | float | Decimal) and not isinstance(cell, bool)
        if not is_number and not (isinstance(cell, str) and _NUMBER.fullmatch(cell)):
            shown = repr(cell if len(str(cell)) <= _LONGEST_SHOWN else f"{str(cell)[:_LONGEST_SHOWN]}…")
            message = f"holds {shown}; expected a number such as 1234.5"
            # part: classification
            if not any(map(str.isdigit, shown)):
                message += " (if these are labels, add data.task=classification)"
            # part end
            return Problem("no_number", self.column, message)
        try:
            value = float(cell)
        except OverflowError:  # an integer of hundreds of digits
            value = math.inf
        if not abs(value) <= LARGEST:  # nor NaN
            between = f"between {-LARGEST:g} and {LARGEST:g}"
            return Problem("no_number", self.column, f"holds {value:g}; expected a number {between}")
        return value

    def close(self) -> None:
        """Turn the numbers into `values`."""
        super().close()
        self._thirds = np.quantile(self.values, [1 / 3, 2 / 3]).tolist() if len(self.values) else []

    def group(self, index: int) -> str:
        """The third in which the number lies."""
        return _GROUPS[sum(self.values[index] > limit for limit in self._thirds)]

    def essential(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], str]:
        """The least and the greatest, which standardising and its report need."""
        ends = {int(self.values[rows].argmin()), int(self.values[rows].argmax())} if len(rows) else set()
        return np.array(sorted(ends), np.int64), "the lowest and the highest number are kept"

    def check(self, ledger: Ledger, findings: Findings, usable: NDArray[np.bool_]) -> dict[int, str]:
        """Warn where rows pile up at the lowest or the highest number, as they do where numbers were cut off."""
        rows = np.flatnonzero(usable)
        numbers, firsts, counts = np.unique(self.values[rows], return_index=True, return_counts=True)
        # part: classification
        if len(numbers) == 2:
            both = f"{numbers[0]:.15g} and {numbers[1]:.15g}"
            message = f"has two values, {both}: if these are labels, add data.task=classification"
            findings.add(ledger.issue(rows[0], "warning", "two_values", self.column, message))
            return {}
        # part end
        for end in {0, len(numbers) - 1} if len(numbers) > 1 else ():
            share = counts[end] / len(rows)
            if share > _PILE and counts[end] > _PILE_HEIGHT * np.median(counts):
                message = f"holds {numbers[end]:.15g}, as {share:.1%} of all rows do: were numbers cut off there?"
                findings.add(ledger.issue(rows[firsts[end]], "warning", "pile", self.column, message))
        return {}

    def facts(self, ledger: Ledger, usable: NDArray[np.bool_]) -> Target:
        """Unit, range, and of the training rows rounded deciles (`buckets`) and what the network learns.

        That is their logarithms (`log`) where all are positive and skewed, and logarithms are less so, as with prices;
        `mean` and `std` are of what is learnt.
        """
        learnt = self.values[usable & (ledger.split == TRAIN)]
        if not len(learnt):
            ends = {"minimum": None, "maximum": None}
            return {"unit": self._unit, **ends, "log": False, "mean": 0.0, "std": 0.0, "buckets": []}
        log = _suits_logarithms(learnt)
        scaled = np.log(learnt) if log else learnt
        return {
            "unit": self._unit,
            "minimum": float(learnt.min()),
            "maximum": float(learnt.max()),
            "log": log,
            "mean": float(scaled.mean()),
            "std": float(scaled.std()),
            "buckets": _buckets(learnt),
        }


def _suits_logarithms(values: NDArray[np.float64]) -> bool:
    if not values.min() > 0:
        return False
    skewness = _skewness(values)
    return skewness > _SKEWED and abs(_skewness(np.log(values))) < skewness


def _skewness(values: NDArray[np.float64]) -> float:
    """The third standardised moment; 0 where all are the same."""
    deviations = values - values.mean()
    spread = float(deviations.std())
    return float(np.mean((deviations / spread) ** 3)) if spread else 0.0


def _buckets(values: NDArray[np.float64]) -> list[float]:
    """Up to ten upper bounds of a histogram in ascending order, of the fewest digits that tell the deciles apart."""
    shares = np.linspace(0, 1, _BUCKETS + 1)[1:]
    deciles = np.unique(np.quantile(values, shares, method="inverted_cdf")).tolist()  # numbers that there are
    rounded = ({float(f"{decile:.{digits}g}") for decile in deciles} for digits in range(_FEWEST_DIGITS, _MOST_DIGITS))
    return sorted(next((bounds for bounds in rounded if len(bounds) == len(deciles)), deciles))
