"""Pictures to the squares that training reads, by the code that serves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from boatyard.config.schema import Data, Model
from boatyard.inputs.image.serving import EXTENT, FIELD, FILE, PIXELS, SIDE, ImageInput, read_side
from boatyard.inputs.image.settings import image_model

if TYPE_CHECKING:
    from torch import Tensor


def make_inputs(model: Model, data: Data, rows: Iterable[Sequence[Any]], folder: Path) -> None:  # noqa: ARG001
    """Write `image.json`; nothing is learnt from the rows."""
    (folder / FILE).write_text(json.dumps(limits(model)), encoding="utf-8")


def limits(model: Model) -> dict[str, int]:
    """The side of the square."""
    return {SIDE: image_model(model).side}


def request_schema(fields: Sequence[str], folder: Path) -> dict[str, Any]:  # noqa: ARG001 - every input's signature
    """One field."""
    picture = {"type": "string", "contentEncoding": "base64", "minLength": 1, "description": "JPEG, PNG or WebP"}
    return {"type": "object", "properties": {FIELD: picture}, "required": [FIELD], "additionalProperties": False}


def open_encoder(folder: Path) -> ImageEncoder:
    """By `image.json`."""
    return ImageEncoder(ImageInput(read_side(folder)))


class ImageEncoder:
    """Squares are stored as bytes, of which a list of numbers would take eight times as many."""

    def __init__(self, served: ImageInput) -> None:
        self._served = served

    def encode(self, rows: Sequence[Any]) -> dict[str, pa.Array]:
        """`cost`, PIXELS as binary and EXTENT as a list."""
        encoded = self._served.encode(rows)
        arrays = [(each[PIXELS].tobytes(), each[EXTENT].tolist()) for each in (row.arrays for row in encoded)]
        return {
            "cost": pa.array([row.cost for row in encoded], pa.int32()),
            PIXELS: pa.array([pixels for pixels, _ in arrays], pa.binary()),
            EXTENT: pa.array([extent for _, extent in arrays], pa.list_(pa.int64())),
        }

    def collate(self, items: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """PIXELS, uint8[rows, side, side, 3], and EXTENT, int64[rows, 2]."""
        import torch

        side = self._served.side
        pixels = np.stack([np.frombuffer(item[PIXELS], np.uint8).reshape(side, side, 3) for item in items])
        return {PIXELS: torch.from_numpy(pixels), EXTENT: torch.tensor([item[EXTENT] for item in items])}
