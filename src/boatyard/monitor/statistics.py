"""Whether two samples may come from one distribution: permutation tests under one family-wise error rate.

Under the null hypothesis that nothing changed, reference and window are exchangeable. So the pooled rows are permuted
many times, every statistic is computed under every permutation, and the observed statistics are compared with those.
Nothing is assumed about distributions. All tests share the permutations, which accounts for the dependence between
them (the min-P adjustment of Westfall and Young 1993); a Bonferroni correction would lose power.

A statistic beyond all its permutations has a p-value smaller than so many permutations can resolve. It is bounded by
what is known of the statistic's distribution, with a Bonferroni correction.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom, kstwobign

PERMUTATIONS = 2_000
MIN_ROWS = 100
"""A window of fewer rows is not tested: the tests would have no power."""

_CHUNK = 500  # permutations at a time: this bounds the memory
_TAIL = 0.05  # the share of permutations beyond which a statistic's tail is fitted by an exponential one

Floats = NDArray[np.float64]
Members = NDArray[np.int32]


@dataclass(frozen=True)
class Statistic:
    """A statistic under each permutation; the first one is the observed one."""

    values: Floats
    bounds: Floats
    """For each value, an upper bound of the probability of as large a one under the null hypothesis."""
    min_effect: float = 0.0
    """Smaller values are irrelevant, however significant."""


@dataclass(frozen=True)
class Tested:
    """The observed statistic, and the largest value that is neither significant nor relevant."""

    value: float
    threshold: float
    p: float
    """Adjusted: the probability, if nothing changed, that any of the jointly tested statistics is as extreme."""

    @property
    def suspicious(self) -> bool:
        """Significant, and large enough to matter."""
        return self.value > self.threshold


@lru_cache(maxsize=1)
def permute(reference: int, window: int, count: int = PERMUTATIONS) -> "Permutations":
    """`count` permutations of so many rows. They are always the same, so the same data get the same verdicts."""
    return Permutations(reference, window, count)


class Permutations:
    """Permutations of the pooled rows, the `reference` rows first; the identity comes first."""

    def __init__(self, reference: int, window: int, count: int = PERMUTATIONS) -> None:
        self.reference, self.window = reference, window
        random = np.random.default_rng(0)
        drawn = [random.permutation(reference + window)[:window] for _ in range(count)]
        self.members = np.array([np.arange(reference, reference + window), *drawn], dtype=np.int32)
        """By permutation, the rows that it assigns to the window."""

    def shift(self, values: NDArray[np.floating], min_effect: float = 0.0) -> Statistic:
        """For numbers: the two-sample Kolmogorov-Smirnov statistic."""
        _, codes, totals = np.unique(values, return_inverse=True, return_counts=True)
        below = totals.cumsum() / self.reference

        def largest_gap(members: Members) -> Floats:
            in_window = _counts(codes[members], len(totals)).cumsum(axis=1, dtype=np.float64)
            return np.asarray(np.abs(in_window * (1 / self.window + 1 / self.reference) - below).max(axis=1))

        gaps = self._each(largest_gap)
        bounds = kstwobign.sf(gaps / (1 / self.window + 1 / self.reference) ** 0.5)  # conservative with ties
        return Statistic(gaps, bounds, min_effect)

    def growth(self, categories: NDArray[np.str_], min_effect: float = 0.0) -> Statistic:
        """For categories: -log10 of the smallest p-value of a one-sided Fisher's exact test of each category's share.

        A chi-squared statistic would hide one category in seventy that becomes three times as frequent.
        `min_effect`: categories whose share grows by less are ignored.
        """
        _, codes, totals = np.unique(categories, return_inverse=True, return_counts=True)
        counts = np.concatenate([_counts(codes[members], len(totals)) for members in self._chunks()])
        largest = np.zeros(len(counts))
        for in_window, total in zip(counts.T, totals, strict=True):
            distinct, inverse = np.unique(in_window, return_inverse=True)
            p = hypergeom.sf(distinct - 1, len(codes), total, self.window)
            relevant = distinct / self.window - (total - distinct) / self.reference >= min_effect
            largest = np.maximum(largest, (-np.log10(np.maximum(p, 1e-300)) * relevant)[inverse])
        return Statistic(largest, np.minimum(1.0, len(totals) * 10**-largest))

    def distance(self, points: NDArray[np.floating], min_effect: float = 0.0) -> Statistic:
        """For embeddings: the distance of the two means, in units of the reference's root-mean-square spread."""
        centred = points - points[: self.reference].mean(axis=0)
        spread = np.sqrt((centred[: self.reference] ** 2).sum(axis=1).mean()) or 1.0
        total = centred.sum(axis=0)

        def distance(members: Members) -> Floats:
            belongs = np.zeros((len(members), len(points)), dtype=points.dtype)
            np.put_along_axis(belongs, members, 1, axis=1)
            in_window = belongs @ centred
            apart = in_window / self.window - (total - in_window) / self.reference
            return np.asarray(np.linalg.norm(apart, axis=1) / spread)

        values = self._each(distance)
        # McDiarmid's inequality for permutations (El-Yaniv and Pechyony 2009, lemma 2)
        pairs = 1 / self.window + 1 / self.reference
        largest_change = 2 * np.linalg.norm(centred, axis=1).max() / spread * pairs or 1.0  # by swapping two rows
        excess = np.maximum(0.0, values - values.mean()) / largest_change
        return Statistic(values, np.exp(-2 * excess**2 * pairs * (1 - 2 / len(points))), min_effect)

    def _each(self, statistic: Callable[[Members], Floats]) -> Floats:
        return np.concatenate([statistic(members) for members in self._chunks()])

    def _chunks(self) -> Iterator[Members]:
        for start in range(0, len(self.members), _CHUNK):
            yield self.members[start : start + _CHUNK]


def _counts(codes: NDArray[np.integer], distinct: int) -> NDArray[np.int64]:
    """[rows, distinct]: how often each code occurs in each row of `codes`."""
    rows = len(codes)
    flat = (codes + distinct * np.arange(rows)[:, None]).ravel()
    return np.bincount(flat, minlength=rows * distinct).reshape(rows, distinct)


def judge(statistics: Mapping[str, Statistic], weights: Mapping[str, float], level: float) -> dict[str, Tested]:
    """Test all statistics jointly; `level` is the family-wise error rate.

    `statistics`: by name, under the same permutations. `weights`: a test of weight 2 gets twice the share of `level`.
    """
    table = np.stack([statistic.values for statistic in statistics.values()], axis=1)
    weight = np.array([weights.get(name, 1.0) for name in statistics])
    p_values = np.stack([_p_values(statistic) for statistic in statistics.values()], axis=1) / weight
    min_p = p_values.min(axis=1)
    critical = np.sort(min_p)[int(level * len(table))]
    tested = {}
    for index, (name, statistic) in enumerate(statistics.items()):
        as_extreme = int((min_p <= p_values[0, index]).sum())
        p = as_extreme / len(table)
        if as_extreme == 1:  # only the observed one
            p = min(p, statistic.bounds[0] * weight.sum() / weight[index])
        largest_passing = table[p_values[:, index] >= critical, index].max()
        tested[name] = Tested(float(table[0, index]), max(float(largest_passing), statistic.min_effect), p)
    return tested


def _p_values(statistic: Statistic) -> Floats:
    """Each permutation's p-value among all; of the largest values, by an exponential tail or the bound.

    So the largest values of different statistics can be ranked. How well the tail fits does not affect the level:
    permutations are compared with each other by the same values.
    """
    values = statistic.values
    ranked = np.sort(values)
    p_values = (len(values) - np.searchsorted(ranked, values, side="left")) / len(values)
    beyond = values > ranked[-max(1, int(_TAIL * len(values)))]
    if beyond.any():
        excess = values[beyond] - values[beyond].min()
        p_values[beyond] = beyond.mean() * np.exp(-excess / (excess.mean() or 1.0))
    return np.minimum(p_values, statistic.bounds)
