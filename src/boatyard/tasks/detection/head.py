"""A heat map for each class and a box at each place, after CenterNet (Zhou et al. 2019) and TTFNet (Liu et al. 2020).

What the graph answers is final: of each class the peaks of its map, the best of all, less what a better one covers.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from boatyard.config.schema import Model
from boatyard.tasks.defaults import SMOOTHED, fit_estimates, fit_linear  # noqa: F401 - for `training`
from boatyard.tasks.detection.geometry import frame_in, giou, iou, seen, to_row
from boatyard.tasks.detection.metrics import map50
from boatyard.tasks.detection.queries import MOST, QueryHead
from boatyard.tasks.detection.settings import detection_model
from boatyard.tasks.detection.targets import boxes_of
from boatyard.tasks.protocol import Target

_COVERED = 0.6
"""The overlap above which a box of the same class is the same thing."""
_RARE = -4.0
"""The logit with which each place starts: hardly any has an object."""
_SPREAD = 0.18
"""Of a box's side, the standard deviation of its peak."""
_NEAR = 0.3
"""The height of a peak above which places learn its box."""
_GIOU_WEIGHT = 2.0


class DetectionHead(nn.Module):
    """On `maps`, which a backbone's `places` gives."""

    asks_where = True

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.neck = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.heat, self.sides = nn.Conv2d(width, classes, 1), nn.Conv2d(width, 4, 1)
        nn.init.constant_(self.heat.bias, _RARE)  # type: ignore[arg-type]
        nn.init.zeros_(self.sides.weight)

    def forward(self, places: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`found` first, [batch, MOST, 6] (see `_found`), which is empty in training; then what the loss reads."""
        maps = self.neck(places["maps"])
        heat, sides = self.heat(maps).float(), self.sides(maps).float().clamp(-4, 5).exp()  # also where bf16 is read
        frame = frame_in(places)
        found = heat.new_zeros(len(heat), 0, 6) if self.training else _found(heat.detach(), sides.detach(), frame)
        return {"found": found, "heat": heat, "sides": sides, **frame}

    def loss(self, raw: Mapping[str, Tensor], targets: Tensor) -> Tensor:
        """The focal loss of the heat maps, and GIoU (Rezatofighi et al. 2019) near the peaks."""
        heat, (rows, columns) = raw["heat"], raw["heat"].shape[2:]
        targets = seen(targets, raw, columns, rows)
        is_there, boxes = targets[..., 0] >= 0, targets[..., 1:]
        low, high = boxes[..., :2], boxes[..., 2:]
        size = torch.tensor([columns, rows], device=heat.device)
        cell = torch.minimum(((low + high) / 2).floor().clamp(min=0), size - 1)  # the one that holds the middle
        spread = (_SPREAD * (high - low)).clamp(min=0.35)
        grid = _cells(rows, columns, heat.device)
        squares = ((grid - cell[:, :, None, None]) / spread[:, :, None, None]) ** 2
        peaks = (-0.5 * squares.sum(-1)).exp() * is_there[..., None, None]  # [batch, objects, rows, columns]
        of_class = torch.stack(
            [(peaks * (targets[..., 0] == number)[..., None, None]).amax(1) for number in range(self.classes)], 1
        )
        count = is_there.sum().clamp(min=1)
        height, owner = peaks.max(1)
        near = height * (height > _NEAR)
        own = boxes.gather(1, owner.flatten(1).unsqueeze(-1).expand(-1, -1, 4)).view(*owner.shape, 4)
        weights = near / near.sum().clamp(min=1)
        overlap = giou(_at_cells(raw["sides"]), own)
        return _focal(heat, of_class) / count + _GIOU_WEIGHT * ((1 - overlap) * weights).sum()

    def served(self, raw: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Boxes, a score for each class, and the extent."""
        found = raw["found"]
        one_hot = functional.one_hot(found[..., 0].long(), self.classes)
        return found[..., 2:], one_hot * found[..., 1:2], raw["extent"]

    def divergence(self, first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> Tensor:
        """The mean squared difference of heat."""
        return functional.mse_loss(first["heat"].sigmoid(), second["heat"].sigmoid())

    def start_at(self, features: Tensor, targets: Tensor) -> None:
        """At random weights."""

    def widen(self, mixing: Any, intercepts: Any, features: Tensor, targets: Tensor) -> None:
        """Nothing: the task fits no linear model."""

    def read_estimates(self) -> None:
        """Nothing: the task fits none."""


def head_shape(target: Target, model: Model) -> dict[str, Any]:
    """The number of classes, and what the backbone's places are."""
    return {"classes": len(target["classes"]), "places": detection_model(model).places}


def build_head(width: int, shape: Mapping[str, Any]) -> nn.Module:
    """With random weights."""
    kinds = {"maps": DetectionHead, "queries": QueryHead}
    return kinds[shape.get("places", "maps")](width, shape["classes"])


def tensor(targets: Sequence[Any]) -> Tensor:
    """float32[batch, objects, 5]: class, left, top, right, bottom; a class of -1 where there is no further object."""
    boxes = [torch.from_numpy(boxes_of(each).copy()) for each in targets]
    return nn.utils.rnn.pad_sequence([functional.pad(each, (0, 0, 0, 1), value=-1) for each in boxes], True, -1)


def validation_scores(raw: NDArray[Any], targets: NDArray[Any]) -> dict[str, float]:
    """Of `found`."""
    return {"map50": map50(raw, targets)}


def _found(heat: Tensor, sides: Tensor, frame: Mapping[str, Tensor]) -> Tensor:
    """[batch, MOST, 6]: class, score, left, top, right, bottom in the row's own places; a score of 0: no object."""
    classes, rows, columns = heat.shape[1:]
    scores = heat.sigmoid()
    peaks = scores * (functional.max_pool2d(scores, 3, 1, 1) == scores)
    best, places = peaks.flatten(1).topk(min(MOST, classes * rows * columns))
    number, place = places // (rows * columns), places % (rows * columns)
    corners = _at_cells(sides).flatten(1, 2).gather(1, place.unsqueeze(-1).expand(-1, -1, 4))
    boxes = to_row(corners, frame)
    same = number.unsqueeze(2) == number.unsqueeze(1)
    better = torch.ones(best.shape[1], best.shape[1], device=heat.device).tril(-1)  # each row's are before it
    covered = (iou(boxes.unsqueeze(2), boxes.unsqueeze(1)) * same * better).amax(2) > _COVERED
    kept = best * ~covered * (boxes[..., 2:] > boxes[..., :2]).all(-1)
    return torch.cat([number.unsqueeze(-1).to(best.dtype), kept.unsqueeze(-1), boxes], -1)


def _cells(rows: int, columns: int, device: torch.device) -> Tensor:
    """[rows, columns, 2]: across and down."""
    sides = torch.arange(rows, device=device), torch.arange(columns, device=device)
    down, across = torch.meshgrid(*sides, indexing="ij")
    return torch.stack([across, down], -1)


def _at_cells(sides: Tensor) -> Tensor:
    """[batch, 4, rows, columns], distances from each cell's middle, to boxes on the map, [batch, rows, columns, 4]."""
    rows, columns = sides.shape[2:]
    middle = _cells(rows, columns, sides.device) + 0.5
    distances = sides.permute(0, 2, 3, 1)
    return torch.cat([middle - distances[..., :2], middle + distances[..., 2:]], -1)


def _focal(heat: Tensor, wanted: Tensor) -> Tensor:
    """CornerNet's (Law and Deng 2018): places beside a peak are hardly wrong."""
    there = wanted > 0.999
    score = heat.sigmoid()
    hit = functional.logsigmoid(heat) * (1 - score) ** 2
    miss = functional.logsigmoid(-heat) * score**2 * (1 - wanted) ** 4
    return -torch.where(there, hit, miss).sum()
