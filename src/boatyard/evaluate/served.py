"""How often a bundle is right on a data set's rows, the few included that are too long to be asked of a server."""

from collections.abc import Sequence
from typing import Any

from boatyard.bundle.predict import Predictor
from boatyard.data.prepare import Prepared
from boatyard.evaluate.run import SPLIT


def answered_rightly(predictor: Predictor, labelled: Sequence[tuple[Any, str]]) -> list[bool]:
    """Of each row, whether it gets its own label."""
    answers = predictor.answer([row for row, _ in labelled], top_k=1)
    return [answer.label == label for answer, (_, label) in zip(answers, labelled, strict=True)]


def served_accuracy(predictor: Predictor, prepared: Prepared) -> float:
    """The share of test rows that get their own label."""
    right = answered_rightly(predictor, prepared.labelled(SPLIT))
    return right.count(True) / len(right)
