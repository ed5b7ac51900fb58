"""Whether two samples could be one: several tests at once, and one rate of false alarms for all of them together.

Under the hypothesis that nothing changed, which rows are the reference's and which the window's is chance. So the rows
are dealt out anew many times, every statistic is taken of every deal, and what was seen is compared with that. This
assumes nothing about distributions. All tests see the same deals: how they depend on each other is accounted for
(Westfall and Young's step of the least p-value), where Bonferroni's share would give power away.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

DEALS = 2_000
FALSE_ALARMS = 0.02
"""Of all alarms together, where nothing changed."""

_CHUNK = 500  # deals at a time: they bound the memory

Floats = NDArray[np.float64]
Members = NDArray[np.int32]


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
        dealt = [draw.permutation(reference + window)[:window] for _ in range(deals)]
        self.members = np.array([np.arange(reference, reference + window), *dealt], dtype=np.int32)
        """By deal, the rows that it puts into the window."""

    def shift(self, values: NDArray[np.floating]) -> Floats:
        """Of numbers: the greatest distance between the two cumulative shares (Kolmogorov and Smirnov's)."""
        _, codes, totals = np.unique(values, return_inverse=True, return_counts=True)
        below = totals.cumsum() / self.reference

        def apart(members: Members) -> Floats:
            ours = _counts(codes[members], len(totals)).cumsum(axis=1, dtype=np.float64)
            return np.asarray(np.abs(ours * (1 / self.window + 1 / self.reference) - below).max(axis=1))

        return self._each(apart)

    def growth(self, labels: Sequence[str]) -> Floats:
        """Of labels: how unlikely the likeliest growth of one label is by itself, as -log10 of its p-value.

        One label in seventy that comes three times as often is lost in a sum over all of them; this looks at each.
        """
        _, codes, totals = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
        counts = np.concatenate([_counts(codes[members], len(totals)) for members in self._chunks()])
        rarest = np.zeros(len(counts))
        for ours, total in zip(counts.T, totals, strict=True):
            tail = hypergeom.sf(np.arange(ours.max() + 1) - 1, len(codes), total, self.window)
            rarest = np.maximum(rarest, -np.log10(np.maximum(tail, 1e-300))[ours])
        return rarest

    def distance(self, points: NDArray[np.floating]) -> Floats:
        """Of embeddings: how far the two means lie apart, in units of the reference's own spread."""
        centred = points - points[: self.reference].mean(axis=0)
        spread = np.sqrt((centred[: self.reference] ** 2).sum(axis=1).mean()) or 1.0
        total = centred.sum(axis=0)

        def apart(members: Members) -> Floats:
            belongs = np.zeros((len(members), len(points)), dtype=points.dtype)
            np.put_along_axis(belongs, members, 1, axis=1)
            ours = belongs @ centred
            return np.asarray(np.linalg.norm(ours / self.window - (total - ours) / self.reference, axis=1) / spread)

        return self._each(apart)

    def _each(self, statistic: Callable[[Members], Floats]) -> Floats:
        return np.concatenate([statistic(members) for members in self._chunks()])

    def _chunks(self) -> Iterator[Members]:
        for start in range(0, len(self.members), _CHUNK):
            yield self.members[start : start + _CHUNK]


def _counts(codes: NDArray[np.integer], distinct: int) -> NDArray[np.int64]:
    """How often each row of `codes` has each code."""
    rows = len(codes)
    flat = (codes + distinct * np.arange(rows)[:, None]).ravel()
    return np.bincount(flat, minlength=rows * distinct).reshape(rows, distinct)


def judge(
    statistics: Mapping[str, Floats], weights: Mapping[str, float], level: float = FALSE_ALARMS
) -> dict[str, Tested]:
    """Each statistic's verdict, so that one or more drift by chance with a probability of at most `level`.

    `statistics`: by name, one of each deal. `weights`: a test of weight 2 gets twice the share of false alarms.
    """
    table = np.stack(list(statistics.values()), axis=1)
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
