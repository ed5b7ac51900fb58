"""The network that looks: residual blocks on ever coarser maps (He et al. 2016), down to an eighth of the picture.

Its arguments are a picture's bytes as they are served. Everything that is done to them is done here, and so in the
graph.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from boatyard.config.schema import Model
from boatyard.inputs.defaults import (  # noqa: F401 - for `training`
    alternative,
    export_graph,
    open_counted,
    open_learner,
    open_variation,
)
from boatyard.inputs.image.detectors import build_detector, detector_shape
from boatyard.inputs.image.graph import quantize_graph  # noqa: F401
from boatyard.inputs.image.settings import image_model
from boatyard.inputs.image.square import frame_of, look_at

STRIDE = 8
"""Pixels of the square to one of the last map."""
_BLOCKS = (1, 2, 3)


class Block(nn.Module):
    """Two convolutions, and what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = _convolution(width, width), _convolution(width, width)

    def forward(self, maps: Tensor) -> Tensor:
        """[batch, width, height, width] of the same shape."""
        answer: Tensor = torch.relu(maps + self.second(torch.relu(self.first(maps))))
        return answer


class Backbone(nn.Module):
    """A picture to `width` features: the means of the last maps."""

    def __init__(self, side: int, width: int, flips: str, zoom: float) -> None:
        super().__init__()
        self.side, self.flips, self.zoom = side, flips, zoom
        widths = [width * 2**level for level in range(len(_BLOCKS))]
        layers: list[nn.Module] = []
        for before, now, blocks in zip([3, *widths], widths, _BLOCKS, strict=False):
            layers += [_convolution(before, now, stride=2), nn.ReLU(), *(Block(now) for _ in range(blocks))]
        self.maps = nn.Sequential(*layers)
        self.width = widths[-1]

    def forward(self, pixels: Tensor, extent: Tensor) -> Tensor:  # noqa: ARG002 - only places need it
        """uint8[batch, side, side, 3] and int64[batch, 2] to float[batch, width]."""
        picture, _ = look_at(pixels, self.flips if self.training else None, self.zoom)
        features: Tensor = self.maps(picture).mean((2, 3))
        return features

    def places(self, pixels: Tensor, extent: Tensor) -> dict[str, Tensor]:
        """The maps, and where in the picture their places are; in training it may be mirrored and on its side."""
        picture, view = look_at(pixels, self.flips if self.training else None, self.zoom)
        maps = self.maps(picture)
        return {
            "features": maps.mean((2, 3)),
            "maps": maps,
            **frame_of(extent, self.side, self.side // STRIDE, view),
        }


def backbone_shape(model: Model, folder: Path) -> dict[str, Any]:  # noqa: ARG001 - every input's signature
    """The section `model.image`, and of a detector from elsewhere the configuration."""
    return {
        **image_model(model).model_dump(),
        **({} if model.name is None else {"detector": detector_shape(model.name)}),
    }


def build_backbone(shape: Mapping[str, Any], start: str | None) -> nn.Module:
    """The small network with random weights, or a detector with those of `start`. Raises UserError."""
    if "detector" in shape:
        return build_detector(shape, start)
    return Backbone(**shape)


def _convolution(before: int, now: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, now, 3, stride, padding=1, bias=False), nn.BatchNorm2d(now))
