"""How good labels are: pure functions of class indices and probabilities."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from boatyard.tasks.classification.decision import decided
from boatyard.tasks.classification.fitting import fit_after  # noqa: F401 - for `training`
from boatyard.tasks.classification.ranking import ranking
from boatyard.tasks.classification.serving import accuracy
from boatyard.tasks.protocol import Outputs, Target
from boatyard.tasks.score import Losses, Score, Scores

Integers = NDArray[np.integer[Any]]
Floats = NDArray[np.floating[Any]]

BY_GROUP = ()
MOST_LABELS = 300  # in the confusion that metrics.json holds: it grows by the square
_CELLS = 2**24


@dataclass(frozen=True)
class ClassScore:
    """One label's scores; 0 where a score has nothing to divide by."""

    label: str
    precision: float
    recall: float
    f1: float
    rows: int


@dataclass(frozen=True)
class CalibrationBin:
    """The rows whose confidence lies in (low, high]: what the model claimed and how often it was right."""

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class ConfusedPair:
    """`rows` of `truth` were taken for `predicted`: `share` of all that label's rows."""

    truth: str
    predicted: str
    rows: int
    share: float


def losses(outputs: Outputs, targets: NDArray[Any]) -> Losses:
    """0 where the label is right, else 1."""
    wrong: Losses = (predicted(outputs) != targets).astype(np.float64)
    return wrong


def predicted(outputs: Outputs) -> Integers:
    """The class of each row: its `predictions` where these were made, else the likeliest by `probabilities`."""
    if "predictions" in outputs:
        return outputs["predictions"]
    classes: Integers = outputs["probabilities"].argmax(axis=1)
    return classes


def score(outputs: Outputs, targets: NDArray[Any], target: Target, config: Any) -> Scores:
    """Accuracy and macro-F1 and, of probabilities, what they are good for.

    Raises ValueError when shapes do not fit, a target is no class, or a row of probabilities is no distribution.
    """
    if "probabilities" not in outputs:
        return Scores(len(targets), _common(targets, predicted(outputs)), {})
    labels, probabilities, top_k = target["labels"], outputs["probabilities"], config.evaluate.top_k
    _check(targets, probabilities, labels)
    before = calibration(targets, probabilities)
    outputs = decided(outputs, target)
    probabilities = outputs["probabilities"]
    scores = _common(targets, predicted(outputs))
    if top_k < len(labels):  # else it is 1 by definition
        ranked = _ranked(probabilities, top_k)
        scores.append(Score(f"top{top_k}_accuracy", float(np.mean((ranked == targets[:, None]).any(axis=1)))))
    bins = calibration(targets, probabilities)
    scores.append(Score("expected_calibration_error", calibration_error(bins), higher_is_better=False))
    counts = confusion(targets, predicted(outputs), len(labels))
    chosen = most_confused(counts, MOST_LABELS)
    detail = {
        "per_class": [asdict(each) for each in per_class(targets, predicted(outputs), labels)],
        "labels": [labels[index] for index in chosen],
        "confusion": counts[np.ix_(chosen, chosen)].tolist(),
        "calibration": [asdict(each) for each in bins],
        "calibration_error_as_trained": calibration_error(before),
        "ranking": [each.areas for each in ranking(targets, probabilities, labels)],
    }
    return Scores(len(targets), scores, detail)


def confusion(targets: Integers, predictions: Integers, classes: int) -> NDArray[np.int64]:
    """Rows counted by [truth, prediction]."""
    counts: NDArray[np.int64] = confusion_matrix(targets, predictions, labels=np.arange(classes))
    return counts


def per_class(targets: Integers, predictions: Integers, labels: Sequence[str]) -> list[ClassScore]:
    """In the order of the labels."""
    columns = precision_recall_fscore_support(targets, predictions, labels=np.arange(len(labels)), zero_division=0)
    return [
        ClassScore(label, *scores)
        for label, *scores in zip(labels, *(column.tolist() for column in columns), strict=True)
    ]


def calibration(targets: Integers, probabilities: Floats, bins: int = 15) -> list[CalibrationBin]:
    """Bins of equal width, those that have rows."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    edges = np.linspace(0, 1, bins + 1)
    bin_of_row = np.searchsorted(edges[1:-1], confidence, side="left")
    return [
        CalibrationBin(
            low=float(edges[index]),
            high=float(edges[index + 1]),
            rows=int(inside.sum()),
            confidence=float(confidence[inside].mean(dtype=np.float64)),
            accuracy=float(right[inside].mean()),
        )
        for index in range(bins)
        if (inside := bin_of_row == index).any()
    ]


def calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """The gap between confidence and accuracy, averaged over rows.

    Equation 3 of Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
    """
    gaps = sum(part.rows * abs(part.confidence - part.accuracy) for part in bins)
    return gaps / sum(part.rows for part in bins)


def confused_pairs(counts: Integers, labels: Sequence[str], most: int = 20) -> list[ConfusedPair]:
    """The pairs of labels with the most rows of the first taken for the second, most first."""
    truths, predictions = np.nonzero(counts)
    wrong = truths != predictions
    truths, predictions = truths[wrong], predictions[wrong]
    worst = np.argsort(-counts[truths, predictions], kind="stable")[:most]
    return [
        ConfusedPair(labels[truth], labels[prediction], int(rows), float(rows / counts[truth].sum()))
        for truth, prediction in zip(truths[worst], predictions[worst], strict=True)
        if (rows := counts[truth, prediction])
    ]


def most_confused(counts: Integers, most: int) -> NDArray[np.int64]:
    """The classes with the most mistakes, made of them or for them, in ascending order; all if there are no more."""
    mistakes = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    return np.sort(np.argsort(-mistakes, kind="stable")[:most])


def _common(targets: Integers, predictions: Integers) -> list[Score]:
    """What every classifier has, one without probabilities included."""
    macro_f1 = f1_score(targets, predictions, average="macro", zero_division=0)  # of what was met or predicted
    return [accuracy(int((predictions == targets).sum()), len(targets)), Score("macro_f1", float(macro_f1))]


def _check(targets: Integers, probabilities: Floats, labels: Sequence[str]) -> None:
    if probabilities.shape != (len(targets), len(labels)) or not len(targets):
        raise ValueError(
            f"{len(targets)} targets and {len(labels)} labels do not fit probabilities of shape"
            f" {probabilities.shape}: at least one row is needed, and one column for each label"
        )
    if targets.min() < 0 or targets.max() >= len(labels):
        raise ValueError(f"targets must lie in 0 to {len(labels) - 1}")
    sums = probabilities.sum(axis=1, dtype=np.float64)
    if not (probabilities.min() >= 0 and np.allclose(sums, 1, atol=0.01)):  # NaN fails too
        raise ValueError("each row of probabilities must be a distribution: are these logits?")


def _ranked(probabilities: Floats, top_k: int) -> NDArray[np.int64]:
    """The `top_k` classes of each row, the likeliest first; some rows at a time: the order of all classes is large."""
    rows = max(1, _CELLS // probabilities.shape[1])
    parts = (probabilities[start : start + rows] for start in range(0, len(probabilities), rows))
    return np.concatenate([np.argsort(-part, axis=1, kind="stable")[:, :top_k] for part in parts])
