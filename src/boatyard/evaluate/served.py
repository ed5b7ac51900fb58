"""How often a bundle is right, asked as a server asks it."""

from boatyard.data.prepare import Prepared
from boatyard.evaluate.run import SPLIT
from boatyard.predict import Predictor


def served_accuracy(predictor: Predictor, prepared: Prepared) -> float:
    """The share of test rows that get their own label."""
    answers = predictor.answer(prepared.rows(SPLIT), top_k=1)
    truth = [prepared.labels[i] for i in prepared.targets(SPLIT)]
    right = [answer.label == label for answer, label in zip(answers, truth, strict=True)]
    return right.count(True) / len(right)
