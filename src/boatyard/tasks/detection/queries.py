"""Objects from a backbone's queries, each with a box, matched one to one with what is there (Carion et al. 2020).

The layers before the last learn by the same loss, each with matches of its own, where a backbone shows them.

As in Deformable DETR (Zhu et al. 2021) each class is scored by itself, so that a query may be nothing.
"""

from collections.abc import Mapping

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from torch.nn import functional

from boatyard.tasks.detection.geometry import frame_in, giou, seen, to_row

MOST = 100
"""Objects that a picture's answer has."""
_RARE = -4.0
"""The logit with which each query starts: hardly any is an object."""
_OF_CLASS, _OF_SIDES, _OF_GIOU = 2.0, 5.0, 2.0
_ALPHA, _GAMMA = 0.25, 2.0


class QueryHead(nn.Module):
    """On `queries` and `boxes`, which a backbone's `places` gives; the boxes are its own, and learn with it."""

    asks_where = True

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.classes = nn.Linear(width, classes)
        nn.init.constant_(self.classes.bias, _RARE)

    def forward(self, places: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`found` first, [batch, MOST, 6], empty in training: of pairs of a query and a class the most certain."""
        logits, frame = self.classes(places["queries"]).float(), frame_in(places)
        boxes = places["boxes"].float()
        found = logits.new_zeros(len(logits), 0, 6)
        if not self.training:
            scores, in_row = logits.detach().sigmoid(), to_row(boxes.detach(), frame)
            best, pairs = scores.flatten(1).topk(min(MOST, scores[0].numel()))
            query, number = pairs // scores.shape[2], pairs % scores.shape[2]
            of_best = in_row.gather(1, query.unsqueeze(-1).expand(-1, -1, 4))
            found = torch.cat([number.unsqueeze(-1).to(best.dtype), best.unsqueeze(-1), of_best], -1)
        raw = {"found": found, "logits": logits, "boxes": boxes, **frame}
        if "earlier_queries" in places:
            raw["earlier_logits"] = self.classes(places["earlier_queries"]).float()
            raw["earlier_boxes"] = places["earlier_boxes"].float()
        return raw

    def loss(self, raw: Mapping[str, Tensor], targets: Tensor) -> Tensor:
        """Of each layer: the focal loss of the classes, and of matched queries the distance of sides and GIoU."""
        targets = seen(targets, raw, 1, 1)
        total = _loss(raw["logits"], raw["boxes"], targets)
        if "earlier_logits" in raw:
            for layer in zip(raw["earlier_logits"].unbind(1), raw["earlier_boxes"].unbind(1), strict=True):
                total = total + _loss(*layer, targets)
        return total

    def served(self, raw: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Boxes of the most certain queries, a score for each class, and the extent."""
        scores = raw["logits"].sigmoid()
        chosen = scores.amax(2).topk(min(MOST, scores.shape[1])).indices.unsqueeze(-1)
        boxes = to_row(raw["boxes"], raw).gather(1, chosen.expand(-1, -1, 4))
        return boxes, scores.gather(1, chosen.expand(-1, -1, scores.shape[2])), raw["extent"]

    def divergence(self, first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> Tensor:
        """The mean squared difference of scores."""
        return functional.mse_loss(first["logits"].sigmoid(), second["logits"].sigmoid())

    def start_at(self, features: Tensor, targets: Tensor) -> None:
        """At random weights."""

    def read_estimates(self) -> None:
        """Nothing: the task fits none."""


def _loss(logits: Tensor, boxes: Tensor, targets: Tensor) -> Tensor:
    """By object; targets are in the backbone's frame."""
    is_there = targets[..., 0] >= 0
    wanted, sides, overlap = torch.zeros_like(logits), logits.new_zeros(()), logits.new_zeros(())
    for row, known in enumerate(is_there):
        numbers, true_boxes = targets[row, known, 0].long(), targets[row, known, 1:]
        query, place = _matched(logits[row], boxes[row], numbers, true_boxes)
        wanted[row, query, numbers[place]] = 1
        sides = sides + (boxes[row, query] - true_boxes[place]).abs().sum()
        overlap = overlap + (1 - giou(boxes[row, query], true_boxes[place])).sum()
    total = _OF_CLASS * _focal(logits, wanted).sum() + _OF_SIDES * sides + _OF_GIOU * overlap
    return total / is_there.sum().clamp(min=1)


@torch.no_grad()
def _matched(logits: Tensor, boxes: Tensor, numbers: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Queries, and the places of the objects that they are given, so that the sum of what is wrong is the least."""
    hit, miss = _focal(logits, torch.ones_like(logits)), _focal(logits, torch.zeros_like(logits))
    cost = _OF_CLASS * (hit - miss)[:, numbers] + _OF_SIDES * torch.cdist(boxes, there, p=1)
    cost = cost - _OF_GIOU * giou(boxes[:, None], there[None])
    query, place = linear_sum_assignment(cost.cpu().numpy())
    return torch.as_tensor(query, device=logits.device), torch.as_tensor(place, device=logits.device)


def _focal(logits: Tensor, wanted: Tensor) -> Tensor:
    """Lin et al. 2017."""
    plain = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    score = logits.sigmoid()
    wrong = wanted * (1 - score) + (1 - wanted) * score
    return (wanted * _ALPHA + (1 - wanted) * (1 - _ALPHA)) * wrong**_GAMMA * plain
