"""Detectors of the Hub as backbones: DETR (Carion et al. 2020) and what came of it.

They answer with a fixed number of queries, each a vector and a box. What the vectors are called is left to the head: of
the pretrained weights, those that name COCO's classes are not used.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForObjectDetection

from boatyard.config.errors import UserError
from boatyard.inputs.image.square import frame_of, look_at
from boatyard.inputs.pretrained import loaded, located

_KINDS = ("detr", "rt_detr", "rt_detr_v2", "d_fine")
_FILES = "config.json and model.safetensors"
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's colours


class Detector(nn.Module):
    """A picture to the mean of its queries, or to their `places`. `normalised`: whether it reads ImageNet's colours."""

    mean: Tensor
    spread: Tensor

    def __init__(self, model: nn.Module, config: Any, side: int, flips: str, zoom: float) -> None:
        super().__init__()
        self.model, self.config = model, config
        self.side, self.flips, self.zoom = side, flips, zoom
        self.width = int(config.d_model)
        plain = config.model_type != "detr"  # the others read colours from 0 to 1 as they are
        mean, spread = ((0.0,) * 3, (1.0,) * 3) if plain else (_MEAN, _SPREAD)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("spread", torch.tensor(spread).view(3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor, extent: Tensor) -> Tensor:
        """uint8[batch, side, side, 3] and int64[batch, 2] to float[batch, width]."""
        features: Tensor = self.places(pixels, extent)["features"]
        return features

    def places(self, pixels: Tensor, extent: Tensor) -> dict[str, Tensor]:
        """The queries and their boxes, of which the whole square is one cell."""
        picture, view = look_at(pixels, self.flips if self.training else None, self.zoom)
        seen = self.model(pixel_values=((picture + 2) / 4 - self.mean) / self.spread)
        return {
            "features": seen.last_hidden_state.mean(1),
            "queries": seen.last_hidden_state,
            "boxes": _edges(seen.pred_boxes),
            **(self._earlier(seen) if self.training else {}),
            **frame_of(extent, self.side, 1, view),
        }

    def _earlier(self, seen: Any) -> dict[str, Tensor]:
        """What its layers before the last have; DETR's have no boxes."""
        layers = seen.get("intermediate_hidden_states")
        if layers is None:
            return {}
        if self.config.model_type == "d_fine":  # layers first, and boxes that the first of them has yet to refine
            layers = layers.transpose(0, 1)
            layers = torch.cat([layers[:, :1], layers], 1)
        boxes = _edges(seen.intermediate_reference_points)
        return {"earlier_queries": layers[:, :-1], "earlier_boxes": boxes[:, :-1]}


def detector_shape(name: str) -> dict[str, Any]:
    """The configuration of a model on the Hub or in a folder. Raises UserError."""
    config = loaded(name, lambda: AutoConfig.from_pretrained(located(name), dtype=torch.float32), _FILES)
    if config.model_type not in _KINDS:
        raise UserError(f"model.name={name}: is a {config.model_type}; detectors are {', '.join(_KINDS)}")
    shape: dict[str, Any] = config.to_dict()
    return shape


def build_detector(shape: Mapping[str, Any], start: str | None) -> Detector:
    """With the weights of `start`, or random ones. Raises UserError."""
    given = dict(shape["detector"])
    if start is None:
        config = AutoConfig.for_model(given.pop("model_type"), **given)
        model = AutoModelForObjectDetection.from_config(config)  # type: ignore[no-untyped-call]
    else:
        model = loaded(start, lambda: AutoModelForObjectDetection.from_pretrained(located(start)), _FILES)
    _untie(model)
    return Detector(model.float(), model.config, shape["side"], shape["flips"], shape["zoom"])


def _edges(boxes: Tensor) -> Tensor:
    """Middles and sizes to left, top, right and bottom."""
    middle, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([middle - half, middle + half], -1)


def _untie(model: nn.Module) -> None:
    """Each weight gets a place of its own: a file of weights holds none twice."""
    known = set[int]()
    for module in model.modules():
        for name, weight in module.named_parameters(recurse=False):
            if id(weight) in known:
                setattr(module, name, nn.Parameter(weight.detach().clone()))
            known.add(id(weight))
