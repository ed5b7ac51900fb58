"""Boxes that are answered and wrong, and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from boatyard.tasks.detection.boxes import overlaps
from boatyard.tasks.detection.matching import FOUND_AT, NONE, Found, There, matched

_TOUCHES = 0.1
"""The overlap from which on a box is meant for a true one, and is only drawn wrongly."""


@dataclass(frozen=True)
class Mistake:
    """A found box, by the number of its picture and its place in it. `why`: as the end of "this ... *is*"."""

    picture: int
    place: int
    score: float
    why: str


def confident_mistakes(
    found: Sequence[Found], there: Sequence[There], classes: Sequence[str], most: int
) -> list[Mistake]:
    """The most certain first, one for each picture, so that one that is marked badly does not hide the others."""
    first = [
        mistake
        for number, pair in enumerate(zip(found, there, strict=True))
        if (mistake := next(_mistakes(number, *pair, classes), None)) is not None
    ]
    return sorted(first, key=lambda mistake: -mistake.score)[:most]


def _mistakes(number: int, answer: Found, truth: There, classes: Sequence[str]) -> Iterator[Mistake]:
    shares = overlaps(answer.boxes, truth.boxes)
    same = answer.classes[:, None] == truth.classes[None]
    right = matched(np.where(same, shares, 0), FOUND_AT) != NONE  # a class never takes another's
    for place in np.flatnonzero(~right).tolist():
        why = "nothing that is marked"
        if len(truth.boxes) and (overlap := shares[place].max()) >= _TOUCHES:
            nearest = int(shares[place].argmax())
            label = classes[truth.classes[nearest]]
            if overlap < FOUND_AT:
                why = f"beside a {label}, with an overlap of {overlap:.2f}"
            elif same[place, nearest]:
                why = f"a {label} that is found already"
            else:
                why = f"a {label}"
        yield Mistake(number, place, float(answer.scores[place]), why)
