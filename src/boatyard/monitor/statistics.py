"""Whether two samples could be one: several tests at once, and one rate of false alarms for all of them together.

Under the hypothesis that nothing changed, which rows are the reference's and which the window's is chance. So the rows
are dealt out anew many times, every statistic is taken of every deal, and what was seen is compared with that. This
assumes nothing about distributions. All tests see the same deals: how they depend on each other is accounted for
(Westfall and Young's step of the least p-value), where Bonferroni's share would give power away.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

DEALS = 2_000
FALSE_ALARMS = 0.02
"""Of all alarms together, where nothing changed."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Tested:
    """What was seen, and what it may be at most to pass for chance."""

    value: float
    threshold: float

    @property
    def drifted(self) -> bool:
        """More than chance."""
        return self.value > self.threshold


@lru_cache(maxsize=1)
def deal(reference: int, window: int, deals: int = DEALS) -> "Deals":
    """The deals of so many rows: always the same ones, so that the same data get the same verdict."""
    return Deals(reference, window, deals)


class Deals:
    """The rows of both samples, dealt out: the first deal is the one that was seen."""

    def __init__(self, reference: int, window: int, deals: int = DEALS) -> None:
        self.reference, self.window = reference, window
        draw = np.random.default_rng(0)
        self.members = np.zeros((reference + window, deals + 1), dtype=np.float32)
        """A row of either sample by a deal: 1 where the deal puts it into the window."""
        self.members[reference:, 0] = 1
        for number in range(1, deals + 1):
            self.members[draw.permutation(reference + window)[:window], number] = 1

    def shift(self, values: NDArray[np.floating]) -> Floats:
        """Of numbers: the greatest distance between the two cumulative shares (Kolmogorov and Smirnov's)."""
        ours, totals = self._counts(values)
        np.cumsum(ours, axis=0, out=ours)  # in place, as all of this: it is what takes the time
        ours *= 1 / self.window + 1 / self.reference
        ours -= (totals.cumsum() / self.reference)[:, None]
        return np.maximum(ours.max(axis=0), -ours.min(axis=0))

    def growth(self, labels: Sequence[str]) -> Floats:
        """Of labels: how unlikely the likeliest growth of one label is by itself, as -log10 of its p-value.

        One label in seventy that comes three times as often is lost in a sum over all of them; this looks at each.
        """
        counts, totals = self._counts(np.asarray(labels))
        least = np.zeros(counts.shape[1])
        for ours, total in zip(counts, totals.astype(int), strict=True):
            tail = hypergeom.sf(np.arange(total + 1) - 1, len(labels), total, self.window)
            least = np.maximum(least, -np.log10(np.maximum(tail, 1e-300))[ours.astype(int)])
        return np.asarray(least, dtype=np.float32)

    def _counts(self, values: NDArray[Any]) -> tuple[Floats, Floats]:
        """Of each distinct value: how often it is in the window, by deal, and how often in all."""
        order = np.argsort(values, kind="stable")
        first = np.flatnonzero(np.append(True, values[order][1:] != values[order][:-1]))
        totals = np.diff(np.append(first, len(values))).astype(np.float32)
        return np.add.reduceat(self.members[order], first, axis=0), totals

    def distance(self, points: Floats) -> Floats:
        """Of embeddings: how far the two means lie apart, in units of the reference's own spread."""
        centred = points - points[: self.reference].mean(axis=0)
        spread = np.sqrt((centred[: self.reference] ** 2).sum(axis=1).mean()) or 1.0
        ours = self.members.T @ centred
        total = centred.sum(axis=0)
        apart = ours / self.window - (total - ours) / self.reference
        return np.asarray(np.linalg.norm(apart, axis=1) / spread, dtype=np.float32)


def judge(
    statistics: Mapping[str, Floats], weights: Mapping[str, float], level: float = FALSE_ALARMS
) -> dict[str, Tested]:
    """Each statistic's verdict, so that one or more drift by chance with a probability of at most `level`.

    `statistics`: by name, one of each deal. `weights`: a test of weight 2 gets twice the share of false alarms.
    """
    table = np.stack([np.asarray(column, dtype=np.float64) for column in statistics.values()], axis=1)
    ranked = np.sort(table, axis=0)
    deals = len(table)
    at_least = np.stack(
        [deals - np.searchsorted(ranked[:, i], table[:, i], side="left") for i in range(table.shape[1])], axis=1
    )
    shares = at_least / deals / np.array([weights.get(name, 1.0) for name in statistics])
    critical = np.sort(shares.min(axis=1))[int(level * deals)]
    found = {}
    for index, name in enumerate(statistics):
        passing = table[shares[:, index] >= critical, index]
        found[name] = Tested(value=float(table[0, index]), threshold=float(passing.max()))
    return found
