"""The bar that a detector has to clear."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boatyard.inputs.training_protocol import Regions, SimpleFeatures
from boatyard.tasks import defaults
from boatyard.tasks.defaults import Fitted
from boatyard.tasks.detection.boxes import Boxes, overlaps
from boatyard.tasks.detection.matching import FOUND_AT, MOST_FOUND
from boatyard.tasks.detection.metrics import best_threshold, found_in, there_in
from boatyard.tasks.detection.targets import boxes_of
from boatyard.tasks.protocol import Outputs, Target

_MOST_ROWS = 120
_HELD_OUT = 4  # of so many rows, one chooses the threshold
_COVERED = 0.4
"""The overlap above which a region of the same class is the same thing."""
_NOTHING = -1

_Chances = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Features of regions to how likely each is of each class, [regions, classes]."""


def sample(targets: NDArray[Any], random: np.random.Generator, size: int) -> NDArray[np.int64]:
    """Not many: to find what stands out takes longer than to learn from it."""
    return defaults.sample(targets, random, min(size, _MOST_ROWS))


def fit_baseline(
    simple: SimpleFeatures, rows: Sequence[Any], targets: NDArray[Any], target: Target, seed: int
) -> Fitted:
    """Logistic regression on the regions that stand out; where an input knows none, the same as without features."""
    regions: Callable[[Any], Regions] | None = getattr(simple, "regions", None)
    if regions is None:
        return fallback(targets, target)
    seen, there = [regions(row) for row in rows], [boxes_of(stored) for stored in targets]
    held_out, learnt = np.split(np.random.default_rng(seed).permutation(len(rows)), [len(rows) // _HELD_OUT])
    chances = _fit([seen[row] for row in learnt], [there[row] for row in learnt], len(target["classes"]))
    answers = _answers([seen[row] for row in held_out], chances)
    threshold = best_threshold(found_in(answers), there_in(targets[held_out]))

    def outputs(rows: Sequence[Any]) -> Outputs:
        answered = _answers([regions(row) for row in rows], chances)
        return {**answered, "scores": _with_threshold_at_even(answered["scores"], threshold)}

    description = f"{simple.region_name}, told apart by logistic regression"  # type: ignore[attr-defined]
    return Fitted("regions", description, outputs)


def fallback(targets: NDArray[Any], target: Target) -> Fitted:
    """In every picture, the mean box of each class, as certain as that class is common."""
    boxes = np.concatenate([boxes_of([]), *map(boxes_of, targets)])
    classes = len(target["classes"])
    means = np.array([boxes[boxes[:, 0] == number, 1:].mean(0) for number in range(classes)])
    shares = np.bincount(boxes[:, 0].astype(int), minlength=classes) / len(boxes)
    scores = np.diag(shares)

    def outputs(rows: Sequence[Any]) -> dict[str, NDArray[Any]]:
        return {"boxes": np.repeat(means[None], len(rows), 0), "scores": np.repeat(scores[None], len(rows), 0)}

    return Fitted("mean boxes", "the mean box of each class in every picture", outputs)


def _fit(seen: Sequence[Regions], there: Sequence[NDArray[np.float32]], classes: int) -> _Chances:
    """A region is of the class of the box that it overlaps most, by FOUND_AT at least, or of nothing."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import SplineTransformer, StandardScaler

    features = np.concatenate([each.features for each in seen])
    of_class = np.concatenate([_classes_of(each.places, boxes) for each, boxes in zip(seen, there, strict=True)])
    model = make_pipeline(
        StandardScaler(), SplineTransformer(n_knots=4, degree=2), LogisticRegression(C=0.3, max_iter=200)
    )
    model.fit(features, of_class)
    columns = {int(number): column for column, number in enumerate(model.classes_)}

    def chances(features: NDArray[np.float64]) -> NDArray[np.float64]:
        known = model.predict_proba(features) if len(features) else np.zeros((0, len(columns)))
        absent = np.zeros(len(features))
        return np.stack([known[:, columns[n]] if n in columns else absent for n in range(classes)], 1)

    return chances


def _classes_of(regions: Boxes, there: NDArray[np.float32]) -> NDArray[np.int64]:
    if not len(there):
        return np.full(len(regions), _NOTHING)
    shares = overlaps(regions, there[:, 1:])
    classes: NDArray[np.int64] = there[shares.argmax(1), 0].astype(np.int64)
    return np.where(shares.max(1) >= FOUND_AT, classes, _NOTHING)


def _answers(seen: Sequence[Regions], chances: _Chances) -> dict[str, NDArray[Any]]:
    """As a graph answers: of each row the most certain MOST_FOUND, less what a better one of its class covers."""
    boxes, scores = list[Boxes](), list[NDArray[np.float64]]()
    for each in seen:
        likely = _uncovered(each.places, chances(each.features))
        best = np.argsort(-likely.max(1), kind="stable")[:MOST_FOUND]
        rest = ((0, MOST_FOUND - len(best)), (0, 0))
        boxes.append(np.pad(each.places[best], rest))
        scores.append(np.pad(likely[best], rest))
    return {"boxes": np.stack(boxes), "scores": np.stack(scores)}


def _uncovered(boxes: Boxes, chances: NDArray[np.float64]) -> NDArray[np.float64]:
    shares, kept = overlaps(boxes, boxes), np.zeros_like(chances)
    for number in range(chances.shape[1]):
        free = np.ones(len(boxes), bool)
        for place in np.argsort(-chances[:, number], kind="stable").tolist():
            if free[place]:
                kept[place, number] = chances[place, number]
                free &= shares[place] <= _COVERED
    return kept


def _with_threshold_at_even(scores: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """In the same order, with the threshold at EVEN, where a task without another one has it."""
    odds = scores * (1 - threshold)
    shifted: NDArray[np.float64] = odds / (odds + (1 - scores) * threshold)
    return shifted
