"""The bar that a classifier has to clear: a linear one on simple features.

It learns a weight for each feature of each label. Where there are so many labels that this would take minutes and
gigabytes, the nearest centroid of features that cost less, which sees each row once, takes its place.
"""

import logging
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

from boatyard.inputs.training_protocol import SimpleFeatures
from boatyard.tasks.defaults import Fitted
from boatyard.tasks.protocol import Outputs, Target

log = logging.getLogger(__name__)

# of the linear classifier: its memory is that of labels times features, its time that of labels times cost
MOST_LABELS = 500
MOST_LABELS_AT_FULL_COST = 25

_ROWS_AT_ONCE = 1_000  # answered: scores are as many again as there are labels


def fit_baseline(
    simple: SimpleFeatures,
    rows: Sequence[Any],
    targets: NDArray[Any],
    target: Target,  # noqa: ARG001 - every task's signature
    seed: int,
) -> Fitted:
    """Raises ValueError when the targets hold fewer than two classes."""
    labels = len(np.unique(targets))
    linear = labels <= MOST_LABELS and labels * simple.cost(rows) <= MOST_LABELS_AT_FULL_COST * simple.most_cost
    features, what = simple.features(rich=linear)
    classifier: Any
    if linear:
        name, how = "linear", "a linear support vector classifier"
        classifier = LinearSVC(random_state=seed)
    else:
        name = "nearest centroid"
        how = f"the nearest centroid, as a linear classifier of {labels:,} labels takes too long"
        classifier = NearestCentroid()
        log.info("evaluate: the baseline is the nearest centroid: a linear one of %d labels takes too long", labels)
    classifier.fit(features.fit_transform(rows), targets)

    def outputs(rows: Sequence[Any]) -> Outputs:
        parts = (rows[start : start + _ROWS_AT_ONCE] for start in range(0, len(rows), _ROWS_AT_ONCE))
        predictions = [classifier.predict(features.transform(part)) for part in parts]
        return {"predictions": np.concatenate(predictions).astype(np.int64)}

    return Fitted(f"{simple.name}, {name}", f"{what} with {how}", outputs)


def fallback(targets: NDArray[Any], target: Target) -> Fitted:  # noqa: ARG001 - every task's signature
    """The most frequent label."""
    most = int(np.bincount(targets).argmax())
    return Fitted(
        "most frequent label", "the most frequent label", lambda rows: {"predictions": np.full(len(rows), most)}
    )


def sample(targets: NDArray[Any], random: np.random.Generator, size: int) -> NDArray[np.int64]:
    """`size` rows and, beyond these, the first of each class that is not among them."""
    shuffled = random.permutation(len(targets))
    _, first_of_class = np.unique(targets[shuffled], return_index=True)
    return np.sort(shuffled[np.union1d(first_of_class, np.arange(size))])


class NearestCentroid:
    """The class whose mean row has the smallest angle to a row; sparse throughout, which scikit-learn's own is not."""

    def fit(self, rows: csr_array, targets: NDArray[np.integer[Any]]) -> Self:
        """`rows`: [rows, features], of length 1 each."""
        self.classes_, classes = np.unique(targets, return_inverse=True)
        shape = (len(self.classes_), len(targets))
        members = csr_array((np.ones(len(targets)), (classes, np.arange(len(targets)))), shape=shape)
        self._centroids = normalize(members @ rows).T.tocsr()
        return self

    def predict(self, rows: csr_array) -> NDArray[np.integer[Any]]:
        """The first of them where several are as near."""
        nearest: NDArray[np.integer[Any]] = self.classes_[(rows @ self._centroids).toarray().argmax(axis=1)]
        return nearest
