"""The bar that a regression has to clear: a ridge on simple features."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from boatyard.inputs.protocol import SimpleFeatures
from boatyard.tasks.defaults import (
    Fitted,
    sample,  # noqa: F401 - for `training`
)
from boatyard.tasks.protocol import Target


def fit_baseline(
    simple: SimpleFeatures,
    rows: Sequence[Any],
    targets: NDArray[Any],
    target: Target,  # noqa: ARG001 - every task's signature
    seed: int,
) -> Fitted:
    """On all the features there are."""
    features, what = simple.features(rich=True)
    ridge = Ridge(random_state=seed).fit(features.fit_transform(rows), targets)
    name, description = f"{simple.name}, ridge", f"{what} with a ridge regression"
    return Fitted(name, description, lambda rows: {"value": ridge.predict(features.transform(rows))})


def fallback(targets: NDArray[Any], target: Target) -> Fitted:  # noqa: ARG001 - every task's signature
    """The median: of all constants the one with the smallest mean absolute error."""
    median = float(np.median(targets))
    return Fitted("median", "the median", lambda rows: {"value": np.full(len(rows), median)})
