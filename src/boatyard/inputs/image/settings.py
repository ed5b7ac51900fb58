"""The configuration keys of pictures."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from boatyard.config.schema import Model, Section


class ImageData(Section):
    """Where a table names the pictures."""

    file_column: str = Field(default="file")
    """Of a table: a file, from the table's own folder."""


class ImageModel(Section):
    """A small residual network, from random weights."""

    side: int = Field(default=160, ge=32, le=1024, multiple_of=8)
    """In pixels, of the square that it reads."""
    width: int = Field(default=16, ge=4)
    """Channels of its first layers; the last have four times as many."""
    flips: Literal["none", "sideways", "both", "turned"] = Field(default="sideways")
    """How a picture may be mirrored in training: not at all where left and right matter, as in writing; also upside
    down where it is seen from above; also on its side where no direction is its own, as under a microscope."""
    zoom: float = Field(default=1.0, ge=1, le=4)
    """How many times as large or as small a picture may be in training, and then shifted; 1: neither."""


SECTIONS: Mapping[str, type[Section]] = {"data": ImageData, "model.image": ImageModel}


def image_model(model: Model) -> ImageModel:
    """The section `model.image`, which a configuration for pictures has."""
    section: ImageModel = model.image  # type: ignore[attr-defined]
    return section
