"""The network that looks: residual blocks on ever coarser maps (He et al. 2016), down to an eighth of the picture.

Its arguments are a picture's bytes as they are served. Everything that is done to them is done here, and so in the
graph.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from boatyard.config.errors import UserError
from boatyard.config.schema import Model
from boatyard.inputs.defaults import alternative, export_graph, open_learner, open_variation  # noqa: F401 - for `training`
from boatyard.inputs.image.graph import quantize_graph  # noqa: F401
from boatyard.inputs.image.settings import image_model

STRIDE = 8
"""Pixels of the square to one of the last map."""
_BLOCKS = (1, 2, 3)
_ALLOWED = {
    "none": (False, False, False),
    "sideways": (True, False, False),
    "both": (True, True, False),
    "turned": (True, True, True),
}
"""Across, down, and on its side, by `model.image.flips`."""
_BRIGHTER, _TINTED = 0.25, 0.10  # standard deviations of what training does to light and colours


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

    def __init__(self, side: int, width: int, flips: str) -> None:
        super().__init__()
        self.side, self.flips = side, flips
        widths = [width * 2**level for level in range(len(_BLOCKS))]
        layers: list[nn.Module] = []
        for before, now, blocks in zip([3, *widths], widths, _BLOCKS, strict=False):
            layers += [_convolution(before, now, stride=2), nn.ReLU(), *(Block(now) for _ in range(blocks))]
        self.maps = nn.Sequential(*layers)
        self.width = widths[-1]

    def forward(self, pixels: Tensor, extent: Tensor) -> Tensor:  # noqa: ARG002 - only places need it
        """uint8[batch, side, side, 3] and int64[batch, 2] to float[batch, width]."""
        picture, _ = self._seen(pixels)
        features: Tensor = self.maps(picture).mean((2, 3))
        return features

    def places(self, pixels: Tensor, extent: Tensor) -> dict[str, Tensor]:
        """The maps, and where in the picture their places are; in training it may be mirrored and on its side."""
        picture, turns = self._seen(pixels)
        maps = self.maps(picture)
        origin, step = self._frame(extent)
        seen = {"features": maps.mean((2, 3)), "maps": maps, "extent": extent}
        if turns is None:
            return {**seen, "origin": origin, "step": step}
        mirrored = turns[:, :2]
        origin = torch.where(mirrored, origin + step * (self.side / STRIDE), origin)
        return {**seen, "origin": origin, "step": torch.where(mirrored, -step, step), "turned": turns[:, 2]}

    def _frame(self, extent: Tensor) -> tuple[Tensor, Tensor]:
        """Of the letterbox, as `place_in_square` has it."""
        longer = extent.amax(1, keepdim=True)
        fitted = torch.round(extent.double() * self.side / longer).clamp(min=1)
        margin = torch.floor((self.side - fitted) / 2)
        scale = extent / fitted
        return (-margin * scale).float(), (STRIDE * scale).float()

    def _seen(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        """float[batch, 3, side, side] around 0; in training in other light and colours, and as bool[batch, 3] says
        mirrored across, mirrored down, and then on its side: what was across is down.
        """
        picture = pixels.permute(0, 3, 1, 2).float() / 64 - 2
        if not self.training:
            return picture, None
        shape, device = (len(picture), 1, 1, 1), picture.device
        allowed = torch.tensor(_ALLOWED[self.flips], device=device)
        turns = (torch.rand(len(picture), 3, device=device) < 0.5) & allowed
        for direction, changed in enumerate((lambda p: p.flip(3), lambda p: p.flip(2), lambda p: p.transpose(2, 3))):
            picture = torch.where(turns[:, direction].view(shape), changed(picture), picture)
        contrast = 1 + _BRIGHTER * torch.randn(shape, device=device)
        tint = 2 * _TINTED * torch.randn(len(picture), 3, 1, 1, device=device)
        return picture * contrast + 2 * _BRIGHTER * torch.randn(shape, device=device) + tint, turns


def backbone_shape(model: Model, folder: Path) -> dict[str, Any]:  # noqa: ARG001 - every input's signature
    """The section `model.image`."""
    return image_model(model).model_dump()


def build_backbone(shape: Mapping[str, Any], start: str | None) -> Backbone:
    """With random weights. Raises UserError where others are wanted."""
    if start is not None:
        raise UserError(f"model.name={start}: a network for pictures starts from random weights; give model.name=null")
    return Backbone(**shape)


def _convolution(before: int, now: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, now, 3, stride, padding=1, bias=False), nn.BatchNorm2d(now))
