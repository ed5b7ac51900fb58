"""Boxes as tensors, in a row's own places and in those of a backbone's frame."""

from collections.abc import Mapping

import torch
from torch import Tensor

Frame = Mapping[str, Tensor]
"""`origin`, `step`, `extent` and perhaps `turned`, as a backbone's `places` has them."""

_LEFT = 0.25
"""Of a box that an edge cuts, what must be left of it."""


def frame_in(places: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The Frame among them."""
    return {name: places[name] for name in ("origin", "step", "extent", "turned") if name in places}


def to_maps(boxes: Tensor, frame: Frame) -> Tensor:
    """Boxes in the row's own places to those of its frame, which may be mirrored and on their side."""
    ends = (boxes.reshape(*boxes.shape[:-1], 2, 2) - frame["origin"][:, None, None]) / frame["step"][:, None, None]
    if "turned" in frame:
        ends = torch.where(frame["turned"][:, None, None, None], ends.flip(-1), ends)
    return torch.cat([ends.amin(2), ends.amax(2)], -1).float()


def seen(targets: Tensor, frame: Frame, width: int, height: int) -> Tensor:
    """Targets in a frame of so many places, [batch, objects, 5]: cut at its edges, as training may cut a picture.

    The class of an object of which too little is left is -1, as where there is none.
    """
    whole = to_maps(targets[..., 1:], frame)
    boxes = torch.minimum(whole.clamp(min=0), whole.new_tensor([width, height, width, height]))
    number = torch.where(_area(boxes) > _LEFT * _area(whole), targets[..., 0], -1)
    return torch.cat([number.unsqueeze(-1), boxes], -1)


def to_row(boxes: Tensor, frame: Frame) -> Tensor:
    """Boxes of a frame that is neither turned nor, [batch, boxes, 4], mirrored, to the row's places, within it."""
    ends = torch.stack([boxes[..., :2], boxes[..., 2:]], 2) * frame["step"][:, None, None]
    ends = ends + frame["origin"][:, None, None]
    limits = frame["extent"].to(ends.dtype)[:, None]
    low, high = (torch.minimum(end.clamp(min=0), limits) for end in (ends.amin(2), ends.amax(2)))
    return torch.cat([low, high], -1)


def iou(first: Tensor, other: Tensor) -> Tensor:
    """Intersection over union of each pair. Edge by edge: a graph is slow where the last dimension is of two."""
    across, down = (
        (torch.minimum(first[..., 2 + axis], other[..., 2 + axis]) - torch.maximum(first[..., axis], other[..., axis]))
        for axis in (0, 1)
    )
    shared = across.clamp(min=0) * down.clamp(min=0)
    return shared / (_area(first) + _area(other) - shared).clamp(min=1e-9)


def giou(first: Tensor, other: Tensor) -> Tensor:
    """Generalised (Rezatofighi et al. 2019), from -1 to 1."""
    around = (torch.maximum(first[..., 2:], other[..., 2:]) - torch.minimum(first[..., :2], other[..., :2])).prod(-1)
    both = (torch.minimum(first[..., 2:], other[..., 2:]) - torch.maximum(first[..., :2], other[..., :2])).clamp(min=0)
    shared = both.prod(-1)
    union = (first[..., 2:] - first[..., :2]).prod(-1) + (other[..., 2:] - other[..., :2]).prod(-1) - shared
    return shared / union.clamp(min=1e-9) - (around - union) / around.clamp(min=1e-9)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)
