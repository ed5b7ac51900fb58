"""Which of the found boxes are right: COCO's rules (Lin et al. 2014), and F1 of a single picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from boatyard.tasks.detection.boxes import Boxes, overlaps

OVERLAPS = np.arange(50, 100, 5) / 100
"""At which COCO measures."""
FOUND_AT = 0.5
"""The least overlap of a box that counts as found, where only one is asked for."""
MOST_FOUND = 100
"""Boxes of a class in a picture that count, the most certain."""
_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Found:
    """Of one picture, the most certain first."""

    boxes: Boxes
    classes: NDArray[np.int64]
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class There:
    """Of one picture."""

    boxes: Boxes
    classes: NDArray[np.int64]


def matched(found: Boxes, there: Boxes, least: float) -> NDArray[np.bool_]:
    """Whether each found box, in their order, has a true one of its own that it overlaps by at least so much."""
    shares, free = overlaps(found, there), np.ones(len(there), bool)
    right = np.zeros(len(found), bool)
    for place in range(len(found) if len(there) else 0):
        best = int(np.argmax(np.where(free, shares[place], -1)))
        if free[best] and shares[place, best] >= min(least, 1 - 1e-10):
            right[place], free[best] = True, False
    return right


def f1(found: Boxes, found_classes: Sequence[object], there: Boxes, there_classes: Sequence[object]) -> float:
    """Of the answer to one picture; 1 where nothing is there and nothing is found."""
    if not len(found) and not len(there):
        return 1.0
    found_of, there_of = np.array(found_classes, object), np.array(there_classes, object)
    right = sum(
        int(matched(found[found_of == each], there[there_of == each], FOUND_AT).sum()) for each in set(found_classes)
    )
    return 2 * right / (len(found) + len(there))


def average_precisions(found: Sequence[Found], there: Sequence[There], classes: int) -> NDArray[np.float64]:
    """[classes, OVERLAPS]: the mean precision at 101 recalls; NaN of a class that no picture has."""
    table = np.full((classes, len(OVERLAPS)), np.nan)
    for number in range(classes):
        total = sum(int((truth.classes == number).sum()) for truth in there)
        if not total:
            continue
        scores, right = list[NDArray[np.float64]](), list[NDArray[np.bool_]]()
        for answer, truth in zip(found, there, strict=True):
            chosen = np.flatnonzero(answer.classes == number)[:MOST_FOUND]
            scores.append(answer.scores[chosen])
            boxes, true_boxes = answer.boxes[chosen], truth.boxes[truth.classes == number]
            right.append(np.stack([matched(boxes, true_boxes, least) for least in OVERLAPS]))
        order = np.argsort(-np.concatenate(scores), kind="stable")
        table[number] = [_average_precision(of_overlap, total) for of_overlap in np.concatenate(right, 1)[:, order]]
    return table


def _average_precision(right: NDArray[np.bool_], total: int) -> float:
    hits = np.cumsum(right)
    recall, precision = hits / total, hits / np.arange(1, len(right) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]  # never lower than at a higher recall
    places = np.searchsorted(recall, _RECALLS, side="left")
    return float(np.append(precision, 0.0)[np.minimum(places, len(precision))].mean())
