"""The interval around a number: as wide as the error that the network expects of just this row.

Split conformal prediction with locally weighted residuals (Lei et al., "Distribution-Free Predictive Inference for
Regression", JASA 2018, section 5.2). Residuals and `spread` are on the scale on which the network learns: logarithms
where the target's `log` says so, and else the target's own.
"""

from math import ceil

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVEL = 0.9
"""The share of rows whose truth an interval is to hold, unless a client wants another."""
LOWEST_LEVEL, HIGHEST_LEVEL = 0.01, 0.99
SMALLEST = 1e-12
"""The logarithm of 0, or of less, is taken of this."""
_LARGEST_LOG = 690.0  # e to its power is still a float64


def fit_quantiles(values: Floats, spread: Floats, truths: Floats, *, log: bool) -> list[float]:
    """Of n residuals in units of their spread, for each whole percent from 1 to 99 the ceil(level (n + 1))-th smallest.

    Where n is too small for a high level to be guaranteed, it is the largest.
    """
    residuals = np.sort(np.abs(learnt(truths, log) - learnt(values, log)) / spread)
    ranks = [min(ceil(percent * (len(residuals) + 1) / 100), len(residuals)) for percent in range(1, 100)]
    return [float(residuals[rank - 1]) for rank in ranks]


def quantile_of(level: float, quantiles: list[float]) -> float:
    """That of the next whole percent."""
    return quantiles[ceil(round(level * 100, 6)) - 1]


def interval(values: Floats, spread: Floats, quantile: float, *, log: bool) -> tuple[Floats, Floats]:
    """The lower and the upper ends, float64[rows] each, in the target's unit: values never lie outside."""
    middle, margin = learnt(values, log), quantile * spread
    low, high = middle - margin, middle + margin
    return np.minimum(restored(low, log), values), np.maximum(restored(high, log), values)


def learnt(values: Floats, log: bool) -> Floats:
    """Targets on the scale on which they are learnt."""
    return np.log(np.maximum(values, SMALLEST)) if log else values


def restored(scaled: Floats, log: bool) -> Floats:
    """The same in their unit again."""
    return np.exp(np.minimum(scaled, _LARGEST_LOG)) if log else scaled
