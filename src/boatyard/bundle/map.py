"""The map of a model: a plane through its embeddings, on which rows lie near those that it takes for alike.

It is fitted when the model is exported, so that placing another row is a matrix product.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

MAP = "map.json"


class Point(NamedTuple):
    """A place on the map, and what lies there."""

    x: float
    y: float
    kind: str


class Map(BaseModel):
    """As it lies in a bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    origin: list[float]
    """The embedding at 0, 0."""
    axes: tuple[list[float], list[float]]
    """The directions of x and y, of length 1."""
    kind: str
    """The key of an answer that says what a row's point is, such as its label."""
    points: list[Point]
    """Rows whose kind is known: they show where things lie."""

    def places(self, embeddings: NDArray[Any]) -> NDArray[np.float64]:
        """float[rows, width] to x and y, [rows, 2]."""
        placed: NDArray[np.float64] = (embeddings - np.array(self.origin)) @ np.array(self.axes).T
        return placed
