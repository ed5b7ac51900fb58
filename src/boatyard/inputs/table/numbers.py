"""What is learnt of the number columns in training rows, before a network sees them."""

from collections.abc import Iterable, Iterator
from statistics import NormalDist
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

FILE = "numbers.json"
MOST_ROWS = 50_000
"""That knots are taken from: of 48 bins each has some 1,000."""
LEAST_MISSING = 5
"""Rows without a number, from which on a column has a flag for that: of fewer, nothing could be learnt."""
T = TypeVar("T")
_LEAST_RISE = 0.02
"""Of normal scores, from one knot to the next: rows that are as close say the same."""


def learn_numbers(numbers: NDArray[np.float64], bins: int) -> dict[str, list[Any]]:
    """By name, an entry for each column, as JSON.

    `median` fills in for missing numbers; `flagged`: whether their absence is told apart. `knots`, at most `bins` + 1
    of them, are numbers in ascending order with about as many rows between each two; `scores` are where they would
    lie if the column were normally distributed (van der Waerden).

    Args:
        numbers: [rows, columns], NaN where one is missing, of a sample of the rows.
    """
    columns = [_learnt(column[~np.isnan(column)], len(column), bins) for column in numbers.T]
    return {name: [column[name] for column in columns] for name in ("median", "flagged", "knots", "scores")}


class Sample(Generic[T]):
    """Of rows that pass, at most so many, each as likely as another (Vitter's algorithm R)."""

    def __init__(self, most: int = MOST_ROWS, seed: int = 0) -> None:
        self.rows: list[T] = []
        self._most = most
        self._random = np.random.default_rng(seed)

    def passing(self, rows: Iterable[T]) -> Iterator[T]:
        """The same rows, of which some are kept."""
        for before, row in enumerate(rows):
            if before < self._most:
                self.rows.append(row)
            elif (place := self._random.integers(before + 1)) < self._most:
                self.rows[place] = row
            yield row


def _learnt(present: NDArray[np.float64], rows: int, bins: int) -> dict[str, Any]:
    flagged = rows - len(present) >= LEAST_MISSING
    if not len(present):
        return {"median": 0.0, "flagged": flagged, "knots": [], "scores": []}
    ordered = np.sort(present)
    quantiles = np.quantile(ordered, np.linspace(0, 1, bins + 1), method="inverted_cdf")
    candidates = np.unique(quantiles)
    below, up_to = (np.searchsorted(ordered, candidates, side) for side in ("left", "right"))
    shares = (below + up_to) / (2 * len(ordered))
    scores = [NormalDist().inv_cdf(share) for share in shares]
    chosen = _apart(scores)
    return {
        "median": float(np.median(ordered)),
        "flagged": flagged,
        "knots": candidates[chosen].tolist(),
        "scores": [scores[index] for index in chosen],
    }


def _apart(scores: list[float]) -> list[int]:
    chosen = [0]
    for index in range(1, len(scores)):
        if scores[index] - scores[chosen[-1]] >= _LEAST_RISE:
            chosen.append(index)
    return chosen
