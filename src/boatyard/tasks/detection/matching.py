"""Which of the found boxes are right, and F1 of a single picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from boatyard.tasks.detection.boxes import Boxes, overlaps

FOUND_AT = 0.5
"""The least overlap of a box that counts as found, where only one is asked for."""
MOST_FOUND = 100
"""Boxes of a class in a picture that count, the most certain."""
NONE = -1


@dataclass(frozen=True)
class Found:
    """Of one picture, the most certain first."""

    boxes: Boxes
    classes: NDArray[np.int64]
    scores: NDArray[np.float64]

    def at_least(self, threshold: float) -> "Found":
        """What is so certain."""
        sure = self.scores >= threshold
        return Found(self.boxes[sure], self.classes[sure], self.scores[sure])


@dataclass(frozen=True)
class There:
    """Of one picture."""

    boxes: Boxes
    classes: NDArray[np.int64]


def matched(shares: NDArray[np.float32], least: float, spare: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """Of each found box, in their order, the true one that it alone has, or NONE (Lin et al. 2014).

    `shares`: their overlaps, [found, there]; `spare`: true boxes that are taken only where no other is left.
    """
    own = np.full(len(shares), NONE)
    if not shares.size:
        return own
    reached = np.where(shares >= min(least, 1 - 1e-10), shares, -1)
    firsts = [reached]
    if spare is not None and spare.any():
        firsts.insert(0, np.where(spare, -1, reached))
    for place in np.flatnonzero(reached.max(1) >= 0).tolist():
        for table in firsts:
            best = int(table[place].argmax())
            if table[place, best] >= 0:
                own[place] = best
                reached[:, best] = firsts[0][:, best] = -1
                break
    return own


def f1(found: Boxes, found_classes: Sequence[object], there: Boxes, there_classes: Sequence[object]) -> float:
    """Of the answer to one picture; 1 where nothing is there and nothing is found."""
    if not len(found) and not len(there):
        return 1.0
    found_of, there_of = np.array(found_classes, object), np.array(there_classes, object)
    right = sum(
        int((matched(overlaps(found[found_of == each], there[there_of == each]), FOUND_AT) != NONE).sum())
        for each in set(found_classes)
    )
    return 2 * right / (len(found) + len(there))
