"""Whether two samples could be one: several tests at once, and one rate of false alarms for all of them together.

Under the hypothesis that nothing changed, which rows are the reference's and which the window's is chance. So the rows
are dealt out anew many times, every statistic is taken of every deal, and what was seen is compared with that. This
assumes nothing about distributions. All tests see the same deals: how they depend on each other is accounted for
(Westfall and Young's step of the least p-value), where Bonferroni's share would give power away.

What is beyond every deal has a p-value below what so many deals can tell. It is bounded by what is known of the
statistic, and Bonferroni's share then.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom, kstwobign

DEALS = 2_000
LEAST_ROWS = 100
"""Of a window of fewer nothing is said: they tell too little."""

_CHUNK = 500  # deals at a time: they bound the memory
_TAIL = 0.05  # of the deals, from which on the shares of a statistic are those of an exponential tail

Floats = NDArray[np.float64]
Members = NDArray[np.int32]


@dataclass(frozen=True)
class Statistic:
    """One of each deal, the first of them what was seen."""

    dealt: Floats
    bounds: Floats
    """Of each: as much or more comes at most so often by chance."""
    least: float = 0.0
    """Less of it does not matter, however sure it is."""


@dataclass(frozen=True)
class Tested:
    """What was seen, and what it may be at most to pass for chance or for too little to matter."""

    value: float
    threshold: float
    p: float
    """How often chance takes any of the statistics that were judged together so far."""

    @property
    def suspicious(self) -> bool:
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

    def shift(self, values: NDArray[np.floating], least: float = 0.0) -> Statistic:
        """Of numbers: the greatest distance between the two cumulative shares (Kolmogorov and Smirnov's)."""
        _, codes, totals = np.unique(values, return_inverse=True, return_counts=True)
        below = totals.cumsum() / self.reference

        def apart(members: Members) -> Floats:
            ours = _counts(codes[members], len(totals)).cumsum(axis=1, dtype=np.float64)
            return np.asarray(np.abs(ours * (1 / self.window + 1 / self.reference) - below).max(axis=1))

        dealt = self._each(apart)
        limit = kstwobign.sf(dealt / (1 / self.window + 1 / self.reference) ** 0.5)  # ties make it rarer
        return Statistic(dealt, limit, least)

    def growth(self, labels: NDArray[np.str_], least: float = 0.0) -> Statistic:
        """Of labels: how unlikely the likeliest growth of one label is by itself, as -log10 of its p-value.

        One label in seventy that comes three times as often is lost in a sum over all of them; this looks at each.
        `least`: labels whose share grows by less are passed over.
        """
        _, codes, totals = np.unique(labels, return_inverse=True, return_counts=True)
        counts = np.concatenate([_counts(codes[members], len(totals)) for members in self._chunks()])
        rarest = np.zeros(len(counts))
        for ours, total in zip(counts.T, totals, strict=True):
            distinct, which = np.unique(ours, return_inverse=True)
            tail = hypergeom.sf(distinct - 1, len(codes), total, self.window)
            matters = distinct / self.window - (total - distinct) / self.reference >= least
            rarest = np.maximum(rarest, (-np.log10(np.maximum(tail, 1e-300)) * matters)[which])
        return Statistic(rarest, np.minimum(1.0, len(totals) * 10**-rarest))

    def distance(self, points: NDArray[np.floating], least: float = 0.0) -> Statistic:
        """Of embeddings: how far the two means lie apart, in units of the reference's own spread."""
        centred = points - points[: self.reference].mean(axis=0)
        spread = np.sqrt((centred[: self.reference] ** 2).sum(axis=1).mean()) or 1.0
        total = centred.sum(axis=0)

        def apart(members: Members) -> Floats:
            belongs = np.zeros((len(members), len(points)), dtype=points.dtype)
            np.put_along_axis(belongs, members, 1, axis=1)
            ours = belongs @ centred
            return np.asarray(np.linalg.norm(ours / self.window - (total - ours) / self.reference, axis=1) / spread)

        dealt = self._each(apart)
        # McDiarmid's bound for deals (El-Yaniv and Pechyony 2009, lemma 2), by what exchanging two rows changes at most
        pairs = 1 / self.window + 1 / self.reference
        exchange = 2 * np.linalg.norm(centred, axis=1).max() / spread * pairs or 1.0
        excess = np.maximum(0.0, dealt - dealt.mean()) / exchange
        return Statistic(dealt, np.exp(-2 * excess**2 * pairs * (1 - 2 / len(points))), least)

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


def judge(statistics: Mapping[str, Statistic], weights: Mapping[str, float], level: float) -> dict[str, Tested]:
    """Each statistic's verdict, so that chance takes one or more above their thresholds at most so often as `level`.

    `statistics`: by name, all of the same deals. `weights`: a test of weight 2 gets twice the share of `level`.
    """
    table = np.stack([statistic.dealt for statistic in statistics.values()], axis=1)
    weight = np.array([weights.get(name, 1.0) for name in statistics])
    shares = np.stack([_shares(statistic) for statistic in statistics.values()], axis=1) / weight
    rarest = shares.min(axis=1)
    critical = np.sort(rarest)[int(level * len(table))]
    tested = {}
    for index, (name, statistic) in enumerate(statistics.items()):
        as_rare = int((rarest <= shares[0, index]).sum())
        p = as_rare / len(table)
        if as_rare == 1:  # what was seen alone
            p = min(p, statistic.bounds[0] * weight.sum() / weight[index])
        passing = table[shares[:, index] >= critical, index].max()
        tested[name] = Tested(float(table[0, index]), max(float(passing), statistic.least), p)
    return tested


def _shares(statistic: Statistic) -> Floats:
    """Of each deal, the share with as much or more; of the greatest, as an exponential tail or the bound has it.

    They tell by how much one exceeds all others, by which it is compared with the greatest of other statistics.
    Whether they fit is no matter to the level: the deals are compared with each other by them.
    """
    dealt = statistic.dealt
    ranked = np.sort(dealt)
    shares = (len(dealt) - np.searchsorted(ranked, dealt, side="left")) / len(dealt)
    beyond = dealt > ranked[-max(1, int(_TAIL * len(dealt)))]
    if beyond.any():
        excess = dealt[beyond] - dealt[beyond].min()
        shares[beyond] = beyond.mean() * np.exp(-excess / (excess.mean() or 1.0))
    return np.minimum(shares, statistic.bounds)
