"""The bar that a regression has to clear: a ridge on simple features."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from boatyard.inputs.protocol import Features, SimpleFeatures
from boatyard.tasks.defaults import sample  # noqa: F401 - for `training`
from boatyard.tasks.protocol import Outputs, Target


@dataclass(frozen=True)
class Baseline:
    """A fitted ridge."""

    name: str
    description: str
    features: Features
    ridge: Any

    def outputs(self, rows: Sequence[Any]) -> Outputs:
        """`value`, float[rows]."""
        return {"value": self.ridge.predict(self.features.transform(rows))}


@dataclass(frozen=True)
class Median:
    """One number for all rows: of all constants the one with the smallest mean absolute error."""

    value: float
    name = "median"
    description = "the median"

    def outputs(self, rows: Sequence[Any]) -> Outputs:
        """`value`, float[rows]."""
        return {"value": np.full(len(rows), self.value)}


def fit_baseline(
    simple: SimpleFeatures,
    rows: Sequence[Any],
    targets: NDArray[Any],
    target: Target,  # noqa: ARG001 - every task's signature
    seed: int,
) -> Baseline:
    """On all the features there are."""
    features, what = simple.features(rich=True)
    ridge = Ridge(random_state=seed).fit(features.fit_transform(rows), targets)
    return Baseline(f"{simple.name}, ridge", f"{what} with a ridge regression", features, ridge)


def fallback(targets: NDArray[Any], target: Target) -> Median:  # noqa: ARG001 - every task's signature
    """The median."""
    return Median(float(np.median(targets)))
