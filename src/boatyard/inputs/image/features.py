"""What a baseline sees of a picture: how much there is of each colour, and of edges in each direction."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from boatyard.config.schema import Data
from boatyard.inputs.image.blobs import blobs_of
from boatyard.inputs.image.pictures import Pixels, letterbox, read_picture
from boatyard.inputs.training_protocol import Features, Regions

_SIDE, _CELLS, _DIRECTIONS, _SHADES = 64, 4, 8, 4


class ImageFeatures:
    """Histograms, of colours over the picture and of edges in its cells (after Dalal and Triggs 2005)."""

    name = "colours and edges"
    region_name = "blobs at several levels, with their shapes and colours"
    most_rows = 20_000
    most_cost = 20_000

    def cost(self, rows: Sequence[Any]) -> int:
        """In pictures."""
        return len(rows)

    def features(self, *, rich: bool) -> tuple[Features, str]:  # noqa: ARG002 - there is one kind
        """The same, rich or not."""
        return make_pipeline(FunctionTransformer(_matrix), StandardScaler()), "histograms of its colours and edges"

    def regions(self, row: Sequence[Any]) -> Regions:
        """Blobs."""
        return blobs_of(row[0])


def simple_features(data: Data) -> ImageFeatures:  # noqa: ARG001 - every input's signature
    """Of any pictures."""
    return ImageFeatures()


def _matrix(rows: Sequence[Any]) -> NDArray[np.float64]:
    return np.array([_histograms(letterbox(read_picture(content, _SIDE), _SIDE)) for (content,) in rows])


def _histograms(pixels: Pixels) -> NDArray[np.float64]:
    shades = (pixels // (256 // _SHADES)).astype(int)
    colours = np.bincount((shades @ (_SHADES**2, _SHADES, 1)).ravel(), minlength=_SHADES**3) / _SIDE**2
    down, across = np.gradient(pixels.mean(-1))
    direction = ((np.arctan2(down, across) % np.pi) / np.pi * _DIRECTIONS).astype(int) % _DIRECTIONS
    cell = np.arange(_SIDE) * _CELLS // _SIDE
    place = (cell[:, None] * _CELLS + cell) * _DIRECTIONS + direction
    edges = np.bincount(place.ravel(), np.hypot(down, across).ravel(), _CELLS**2 * _DIRECTIONS)
    histograms: NDArray[np.float64] = np.sqrt(np.concatenate([colours, edges / max(edges.sum(), 1.0)]))
    return histograms
