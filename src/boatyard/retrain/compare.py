"""Whether one model is more often right than another on the same rows, by more than chance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_DRAWS = 10_000


@dataclass(frozen=True)
class Comparison:
    """Two models on `rows` rows. `low` and `high` bound the difference of their accuracies."""

    name: str
    rows: int
    before: float
    after: float
    low: float
    high: float

    @property
    def better(self) -> bool:
        """By more than chance."""
        return self.low > 0

    @property
    def worse(self) -> bool:
        """By more than chance."""
        return self.high < 0


def compare(
    name: str, before: Sequence[bool], after: Sequence[bool], confidence: float = 0.95, seed: int = 0
) -> Comparison:
    """Paired bootstrap of the difference in accuracy (Efron and Tibshirani 1993, percentile interval).

    `before` and `after` say of each row whether it was answered rightly. A row counts as what it brings: 1 where only
    `after` is right, -1 where only `before` is, else 0; so drawing rows is drawing these three by their shares.
    """
    old, new = np.asarray(before, bool), np.asarray(after, bool)
    if old.shape != new.shape or not old.size:
        raise ValueError("both must answer the same rows, and there must be one")
    rows = old.size
    gained, lost = int((new & ~old).sum()), int((old & ~new).sum())
    shares = [gained / rows, lost / rows, (rows - gained - lost) / rows]
    draws = np.random.default_rng(seed).multinomial(rows, shares, size=_DRAWS)
    differences = (draws[:, 0] - draws[:, 1]) / rows
    low, high = np.quantile(differences, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Comparison(name, rows, float(old.mean()), float(new.mean()), float(low), float(high))


def refusal(comparisons: Sequence[Comparison]) -> str | None:
    """Why the newer model should not be promoted: it must be better on some rows, and worse on none."""
    for one in comparisons:
        if one.worse:
            return f"on {one.name} it is less often right, by more than chance"
    if not any(one.better for one in comparisons):
        return f"on {' and on '.join(one.name for one in comparisons)} it is not more often right by more than chance"
    return None
