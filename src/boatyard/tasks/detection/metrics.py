"""How good boxes are: pure functions of targets and answers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boatyard.config.schema import Config
from boatyard.tasks.detection.matching import Found, There, average_precisions, f1
from boatyard.tasks.detection.serving import mean_f1
from boatyard.tasks.detection.targets import boxes_of
from boatyard.tasks.protocol import Outputs, Target
from boatyard.tasks.score import Losses, Score, Scores

BY_GROUP = ("map50",)
_THRESHOLDS = np.arange(5, 96, 5) / 100


def found_in(outputs: Outputs) -> list[Found]:
    """Of each picture all that the graph found, the most certain first."""
    found = []
    for boxes, scores in zip(outputs["boxes"], outputs["scores"], strict=True):
        places, classes = np.nonzero(scores > 0)
        certain = scores[places, classes].astype(float)
        order = np.argsort(-certain, kind="stable")
        found.append(Found(boxes[places[order]], classes[order], certain[order]))
    return found


def there_in(targets: NDArray[Any]) -> list[There]:
    """Of each picture."""
    stored = map(boxes_of, targets)
    return [There(boxes[:, 1:], boxes[:, 0].astype(np.int64)) for boxes in stored]


def map50(raw: NDArray[Any], targets: NDArray[Any]) -> float:
    """Of the head's `found` and padded targets."""
    found = []
    for row in raw:
        chosen = row[row[:, 1] > 0]
        chosen = chosen[np.argsort(-chosen[:, 1], kind="stable")]
        found.append(Found(chosen[:, 2:], chosen[:, 0].astype(np.int64), chosen[:, 1].astype(float)))
    there = there_in(np.array([*(row[row[:, 0] >= 0].ravel() for row in targets), None], object)[:-1])
    classes = 1 + max((int(truth.classes.max(initial=-1)) for truth in there), default=-1)
    table = average_precisions(found, there, classes)[:, 0]
    return float(np.nanmean(table)) if np.isfinite(table).any() else 0.0


def losses_at(found: Sequence[Found], there: Sequence[There], threshold: float) -> Losses:
    """1 less each picture's F1, of what is at least so certain."""
    losses = []
    for answer, truth in zip(found, there, strict=True):
        sure = answer.scores >= threshold
        losses.append(1 - f1(answer.boxes[sure], answer.classes[sure].tolist(), truth.boxes, truth.classes.tolist()))
    return np.array(losses)


def fit_after(outputs: Outputs, targets: NDArray[Any], target: Target) -> Target:  # noqa: ARG001
    """`threshold`: the score from which on objects are answered, which does best on validation."""
    found, there = found_in(outputs), there_in(targets)
    means = [losses_at(found, there, threshold).mean() for threshold in _THRESHOLDS.tolist()]
    return {"threshold": float(_THRESHOLDS[int(np.argmin(means))])}


def score(outputs: Outputs, targets: NDArray[Any], target: Target, config: Config) -> Scores:  # noqa: ARG001
    """The mean F1 of pictures at the threshold, which decides, and COCO's average precisions.

    All that a baseline finds counts: it has no threshold.
    """
    found, there = found_in(outputs), there_in(targets)
    table = average_precisions(found, there, len(target["classes"]))
    known = table[np.isfinite(table[:, 0])]
    means = known.mean(0) if len(known) else np.zeros(table.shape[1])
    by_class = {
        name: {"map50": float(row[0]), "map": float(row.mean())} if np.isfinite(row[0]) else None
        for name, row in zip(target["classes"], table, strict=True)
    }
    scores = [
        mean_f1(losses_at(found, there, target.get("threshold", 0.0))),
        Score("map50", float(means[0])),
        Score("map", float(means.mean())),
    ]
    return Scores(len(there), scores, {"by_class": by_class})
