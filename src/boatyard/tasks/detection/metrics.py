"""How good boxes are: pure functions of targets and answers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boatyard.config.schema import Config
from boatyard.tasks.detection.matching import FOUND_AT, Found, There, f1
from boatyard.tasks.detection.precision import AREAS, average_precisions, bootstrap, matches, mean_precisions
from boatyard.tasks.detection.serving import mean_f1
from boatyard.tasks.detection.targets import boxes_of
from boatyard.tasks.protocol import Outputs, Target
from boatyard.tasks.score import Losses, Score, Scores

BY_GROUP = ("map50",)
EVEN = 0.5
"""The threshold of what has no other, as a baseline."""
_TITLES = {"map50": "mAP50", "map": "mAP50:95"}
"""Of the scores, as COCO's papers have them."""
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
    return mean_precisions(average_precisions(matches(found, there, classes, at=[FOUND_AT])))[0]


def losses_at(found: Sequence[Found], there: Sequence[There], threshold: float) -> Losses:
    """1 less each picture's F1, of what is at least so certain."""
    sure = (each.at_least(threshold) for each in found)
    return np.array(
        [
            1 - f1(answer.boxes, answer.classes.tolist(), truth.boxes, truth.classes.tolist())
            for answer, truth in zip(sure, there, strict=True)
        ]
    )


def losses_of(outputs: Outputs, targets: NDArray[Any], target: Target) -> Losses:
    """At the target's threshold: what is compared picture by picture."""
    return losses_at(found_in(outputs), there_in(targets), target.get("threshold", EVEN))


def fit_after(outputs: Outputs, targets: NDArray[Any], target: Target, config: Config) -> Target:  # noqa: ARG001
    """`threshold`: the score from which on objects are answered, which does best on validation."""
    return {"threshold": best_threshold(found_in(outputs), there_in(targets))}


def best_threshold(found: Sequence[Found], there: Sequence[There]) -> float:
    """Of the least mean loss."""
    means = [losses_at(found, there, threshold).mean() for threshold in _THRESHOLDS.tolist()]
    return float(_THRESHOLDS[int(np.argmin(means))])


def score(outputs: Outputs, targets: NDArray[Any], target: Target, config: Config) -> Scores:  # noqa: ARG001
    """The mean F1 of pictures at the threshold, which decides, and COCO's average precisions, by class and by size."""
    found, there, classes = found_in(outputs), there_in(targets), target["classes"]
    of_classes = matches(found, there, len(classes))
    table = average_precisions(of_classes)
    scores = [mean_f1(losses_of(outputs, targets, target))]
    means, ends = mean_precisions(table), bootstrap(of_classes).tolist()
    for (name, title), value, (low, high) in zip(_TITLES.items(), means, ends, strict=True):
        scores.append(Score(name, value, low, high, title=title))
    by_class = {
        name: _precisions(row[None], int(each.there.sum()))
        for name, row, each in zip(classes, table, of_classes, strict=True)
    }
    by_size = {}
    for name, areas in AREAS.items():
        of_size = matches(found, there, len(classes), areas=areas)
        by_size[name] = _precisions(average_precisions(of_size), sum(int(each.there.sum()) for each in of_size))
    return Scores(len(there), scores, {"by_class": by_class, "by_size": by_size})


def _precisions(table: NDArray[np.float64], boxes: int) -> dict[str, float | int | None]:
    """None of what no picture has."""
    means = mean_precisions(table) if boxes else (None, None)
    return {"boxes": boxes, "map50": means[0], "map": means[1]}
