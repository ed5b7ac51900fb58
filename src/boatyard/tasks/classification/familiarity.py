"""Whether a row is like those that the model has learnt from: how far its embedding is from the nearest class.

The distance of Mahalanobis to the classes' means, with one covariance for all (Lee et al., "A Simple Unified Framework
for Detecting Out-of-Distribution Samples and Adversarial Attacks", NeurIPS 2018, equation 2).
"""

from dataclasses import dataclass
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boatyard.bundle.manifest import BundleError
from boatyard.tasks.protocol import Target

FILE = "familiarity.npz"
SHARE = 0.02
"""Of validation rows, as many are called unfamiliar."""
UNFAMILIAR_SHARE = "unfamiliar_share"
"""Of a target, that share: its bundle has the FILE, and answers say what is unfamiliar."""

_SHRINKAGE = 0.5  # of the covariance towards a sphere: where training rows hardly differ, others may differ more


@dataclass(frozen=True)
class Familiarity:
    """What lies near `means`, [classes, width], is familiar.

    `whitening`: [width, width]. Embeddings times it vary alike in all directions; the means are already whitened.
    """

    whitening: NDArray[np.float32]
    means: NDArray[np.float32]
    limit: float

    @cached_property
    def _squares(self) -> NDArray[np.float32]:
        squares: NDArray[np.float32] = np.square(self.means).sum(axis=1)
        return squares

    def distances(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """[rows]: the square of each row's distance to the nearest mean."""
        rows = embeddings @ self.whitening
        from_each = np.square(rows).sum(axis=1, keepdims=True) - 2 * rows @ self.means.T + self._squares
        nearest: NDArray[np.float32] = from_each.min(axis=1)
        return nearest

    def unfamiliar(self, embeddings: NDArray[np.float32]) -> NDArray[np.bool_]:
        """[rows]: which are farther from every class than nearly all validation rows are."""
        return self.distances(embeddings) > self.limit

    def save(self, folder: Path) -> None:
        """As arrays, without pickle."""
        np.savez_compressed(folder / FILE, whitening=self.whitening, means=self.means, limit=self.limit)


def open_familiarity(folder: Path) -> Familiarity:
    """What `save` wrote. Raises BundleError."""
    path = folder / FILE
    try:
        with np.load(path, allow_pickle=False) as arrays:
            whitening, means, limit = (arrays[name] for name in ("whitening", "means", "limit"))
        width = means.shape[1]
        if whitening.shape != (width, width) or limit.shape != ():
            raise ValueError(f"{whitening.shape} does not fit {means.shape}")
    except (OSError, KeyError, IndexError, ValueError) as wrong:
        raise BundleError(f"{path} does not say what is familiar: {wrong}") from None
    return Familiarity(whitening, means, float(limit))


def fit_files(
    folder: Path,
    embeddings: NDArray[Any],
    targets: NDArray[Any],
    validation: NDArray[Any],
    target: Target,  # noqa: ARG001 - every task's signature
) -> Target:
    """What is familiar, where that can be told; `unfamiliar_share`: of validation rows, as many are not."""
    fitted = fit_familiarity(embeddings, targets, validation)
    if fitted is None:
        return {}
    fitted.save(folder)
    return {UNFAMILIAR_SHARE: SHARE}


def fit_familiarity(
    embeddings: NDArray[Any], targets: NDArray[Any], validation: NDArray[Any], share: float = SHARE
) -> Familiarity | None:
    """By embeddings of training rows and their classes; `share` of the `validation` rows is to lie beyond the limit.

    None where rows of one class do not differ: then nothing says how far is far.
    """
    embeddings = embeddings.astype(np.float64)
    _, classes, rows = np.unique(targets, return_inverse=True, return_counts=True)
    means = np.zeros((len(rows), embeddings.shape[1]))
    np.add.at(means, classes, embeddings)
    means /= rows[:, None]
    within = embeddings - means[classes]
    covariance = within.T @ within / len(within)
    variance = covariance.diagonal().mean()
    if not (variance > 0 and np.isfinite(covariance).all()):
        return None
    covariance = (1 - _SHRINKAGE) * covariance + _SHRINKAGE * variance * np.eye(len(covariance))
    whitening = np.linalg.inv(np.linalg.cholesky(covariance)).T
    fitted = Familiarity(whitening.astype(np.float32), (means @ whitening).astype(np.float32), np.inf)
    distances = np.sort(fitted.distances(validation))
    place = min(ceil((1 - share) * (len(distances) + 1)), len(distances))
    return Familiarity(fitted.whitening, fitted.means, float(distances[place - 1]))
