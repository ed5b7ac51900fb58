"""The plane through the means of the classes, as far as two dimensions go."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from boatyard.bundle.map import Map, Point
from boatyard.tasks.protocol import Target


def fit_map(embeddings: NDArray[Any], targets: NDArray[Any], target: Target) -> Map | None:
    """The two directions in which the means of the classes, each with the weight of its rows, differ most.

    Two classes differ in one: the other is that in which rows of a class differ most from its mean.
    """
    if len(embeddings) < 2 or embeddings.shape[1] < 2:
        return None
    embeddings = embeddings.astype(np.float64)
    origin = embeddings.mean(axis=0)
    _, classes, rows = np.unique(targets, return_inverse=True, return_counts=True)
    means = np.zeros((len(rows), embeddings.shape[1]))
    np.add.at(means, classes, embeddings)
    means /= rows[:, None]
    between = _principal((means - origin) * np.sqrt(rows)[:, None], min(2, len(rows) - 1))
    within = embeddings - means[classes]
    within -= within @ between.T @ between
    axes = np.concatenate([between, _principal(within, 2 - len(between))])
    places = ((embeddings - origin) @ axes.T).round(4).tolist()
    points = [Point(x, y, target["labels"][number]) for (x, y), number in zip(places, targets, strict=True)]
    first, second = axes.tolist()
    return Map(origin=origin.tolist(), axes=(first, second), kind="label", points=points)


def _principal(rows: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """So many directions, [count, width], each turned to where its largest coordinate is positive."""
    directions = np.linalg.svd(rows, full_matrices=False)[2][:count]
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1)
    turned: NDArray[np.float64] = directions * np.sign(largest)
    return turned
