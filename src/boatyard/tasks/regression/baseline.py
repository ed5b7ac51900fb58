"""The bar that a regression has to clear: a ridge on simple features."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from boatyard.inputs.training_protocol import SimpleFeatures
from boatyard.tasks.defaults import (
    Fitted,
    sample,  # noqa: F401 - for `training`
)
from boatyard.tasks.protocol import Target
from boatyard.tasks.regression.interval import learnt, restored


def fit_baseline(
    simple: SimpleFeatures,
    rows: Sequence[Any],
    targets: NDArray[Any],
    target: Target,
    seed: int,
) -> Fitted:
    """On all the features there are, to what the network learns: where the target's `log` says so, to logarithms."""
    features, what = simple.features(rich=True)
    log = target["log"]
    ridge = Ridge(random_state=seed).fit(features.fit_transform(rows), learnt(targets, log))
    scale = " on logarithms" if log else ""
    name, description = f"{simple.name}, ridge", f"{what} with a ridge regression{scale}"
    return Fitted(name, description, lambda rows: {"value": restored(ridge.predict(features.transform(rows)), log)})


def fallback(targets: NDArray[Any], target: Target) -> Fitted:  # noqa: ARG001 - every task's signature
    """The median: of all constants the one with the smallest mean absolute error."""
    median = float(np.median(targets))
    return Fitted("median", "the median", lambda rows: {"value": np.full(len(rows), median)})
