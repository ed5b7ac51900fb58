"""COCO's average precision (Lin et al. 2014), and how far it may be off by the choice of pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from boatyard.tasks.detection.boxes import Boxes, overlaps
from boatyard.tasks.detection.matching import MOST_FOUND, NONE, Found, There, matched

OVERLAPS = np.arange(50, 100, 5) / 100
"""At which COCO measures."""
SMALL, LARGE = 32, 96
"""Of the side of a square: COCO calls boxes of less area small, of more than the other large."""
AREAS = {"small": (0.0, SMALL**2), "medium": (SMALL**2, LARGE**2), "large": (LARGE**2, 1e10)}
"""Of boxes, in square pixels."""
_RECALLS = np.linspace(0, 1, 101)
_DRAWS = 200

Floats = NDArray[np.float64]


class Curve(NamedTuple):
    """Of one class, as the score falls."""

    recall: Floats
    precision: Floats
    scores: Floats


@dataclass(frozen=True)
class Matches:
    """Of one class, everything that was found in any picture, the most certain first.

    `pictures`: where; `right` and `counts`, [overlaps, found]: whether it is right, and whether it is looked at: what
    is of other areas than were asked for is not. `there`: true boxes in each picture.
    """

    scores: Floats
    pictures: NDArray[np.int64]
    right: NDArray[np.bool_]
    counts: NDArray[np.bool_]
    there: NDArray[np.int64]

    def average_precisions(self, times: Floats | None = None) -> Floats:
        """[overlaps]: the mean precision at 101 recalls, each picture taken so many `times`; NaN of nothing there."""
        total = float(self.there.sum() if times is None else times @ self.there)
        weights = self.counts if times is None else self.counts * times[self.pictures]
        return np.array([_average(*each, total) for each in zip(self.right, weights, strict=True)])

    def curve(self) -> Curve:
        """At the first of the overlaps."""
        hits = np.cumsum(self.right[0])
        return Curve(hits / max(self.there.sum(), 1), hits / np.arange(1, len(hits) + 1), self.scores)


def matches(
    found: Sequence[Found],
    there: Sequence[There],
    classes: int,
    *,
    at: Sequence[float] | NDArray[np.float64] = OVERLAPS,
    areas: tuple[float, float] | None = None,
) -> list[Matches]:
    """Of each class, at these overlaps. `areas`: the least and the greatest of boxes that are looked at."""
    return [_of_class(list(_pictures(found, there, number)), at, areas) for number in range(classes)]


def average_precisions(of_classes: Sequence[Matches]) -> Floats:
    """[classes, overlaps]; NaN of a class that no picture has."""
    return np.array([each.average_precisions() for each in of_classes])


def mean_precisions(table: Floats) -> tuple[float, float]:
    """COCO's mAP50 and mAP, of an `average_precisions`; 0 where nothing is there."""
    known = table[np.isfinite(table[:, 0])]
    return (float(known[:, 0].mean()), float(known.mean())) if len(known) else (0.0, 0.0)


def bootstrap(of_classes: Sequence[Matches], seed: int = 0) -> Floats:
    """The 95% intervals of mAP50 and mAP, [2, 2], by drawing pictures (Efron and Tibshirani 1993, percentiles)."""
    random, pictures = np.random.default_rng(seed), len(of_classes[0].there)
    drawn = []
    for _ in range(_DRAWS):
        times = np.bincount(random.integers(pictures, size=pictures), minlength=pictures).astype(float)
        drawn.append(mean_precisions(np.array([each.average_precisions(times) for each in of_classes])))
    ends: Floats = np.quantile(drawn, [0.025, 0.975], axis=0).T
    return ends


def _average(right: NDArray[np.bool_], weights: NDArray[np.floating] | NDArray[np.bool_], total: float) -> float:
    if not total:
        return float("nan")
    hits, answered = np.cumsum(right * weights), np.cumsum(weights)
    precision = hits / np.maximum(answered, 1e-9)
    precision = np.maximum.accumulate(precision[::-1])[::-1]  # never lower than at a higher recall
    places = np.searchsorted(hits / total, _RECALLS, side="left")
    return float(np.append(precision, 0.0)[np.minimum(places, len(precision))].mean())


def _pictures(found: Sequence[Found], there: Sequence[There], number: int) -> Iterator[tuple[Floats, Boxes, Boxes]]:
    """Of a class the scores and boxes found in each picture, and the true ones."""
    for answer, truth in zip(found, there, strict=True):
        chosen = np.flatnonzero(answer.classes == number)[:MOST_FOUND]
        yield answer.scores[chosen], answer.boxes[chosen], truth.boxes[truth.classes == number]


def _of_class(
    pictures: Sequence[tuple[Floats, Boxes, Boxes]],
    at: Sequence[float] | NDArray[np.float64],
    areas: tuple[float, float] | None,
) -> Matches:
    right, counts, there = list[NDArray[np.bool_]](), list[NDArray[np.bool_]](), list[int]()
    for _, boxes, true_boxes in pictures:
        other = _of_other_areas(true_boxes, areas)
        shares = overlaps(boxes, true_boxes)
        own = np.array([matched(shares, least, other) for least in at]).reshape(len(at), len(boxes))
        of_other = np.append(other, False)[own]  # NONE is the last
        right.append((own != NONE) & ~of_other)
        counts.append(np.where(own == NONE, ~_of_other_areas(boxes, areas), ~of_other))
        there.append(int((~other).sum()))
    scores = np.concatenate([each for each, _, _ in pictures])
    order = np.argsort(-scores, kind="stable")
    places = np.repeat(np.arange(len(pictures)), [len(each) for each, _, _ in pictures])
    is_right, is_counted = (np.concatenate(each, 1)[:, order] for each in (right, counts))
    return Matches(scores[order], places[order], is_right, is_counted, np.array(there))


def _of_other_areas(boxes: Boxes, areas: tuple[float, float] | None) -> NDArray[np.bool_]:
    if areas is None:
        return np.zeros(len(boxes), bool)
    of_each = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    other: NDArray[np.bool_] = (of_each < areas[0]) | (of_each > areas[1])
    return other
