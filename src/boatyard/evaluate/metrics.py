"""How good predictions are: pure functions of targets and probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.integer[Any]]
Floats = NDArray[np.floating[Any]]

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
class Metrics:
    """Scores of a model on one split; fractions of 1. `calibration` holds the bins that have rows."""

    rows: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    macro_f1: float
    top_k: int
    top_k_accuracy: float
    expected_calibration_error: float
    per_class: tuple[ClassScore, ...]
    calibration: tuple[CalibrationBin, ...]
    confusion: NDArray[np.int64] = field(repr=False, compare=False)
    """Rows counted by [truth, prediction]."""

    @property
    def labels(self) -> list[str]:
        """In the order of the classes."""
        return [scores.label for scores in self.per_class]

    def headline(self) -> dict[str, float]:
        """The few numbers that trackers and gates compare, by name: `accuracy`, `top3_accuracy`..."""
        return {
            "rows": self.rows,
            "accuracy": self.accuracy,
            "accuracy_low": self.accuracy_interval[0],
            "accuracy_high": self.accuracy_interval[1],
            "macro_f1": self.macro_f1,
            f"top{self.top_k}_accuracy": self.top_k_accuracy,
            "expected_calibration_error": self.expected_calibration_error,
        }


@dataclass(frozen=True)
class BaselineScore:
    """What a simple model reaches on the same split, and what fitting it took."""

    name: str
    description: str
    rows_used: int
    seconds: float
    accuracy: float
    accuracy_interval: tuple[float, float]
    macro_f1: float


@dataclass(frozen=True)
class Mistake:
    """A row that the model got wrong; `shown` is the row as a person reads it."""

    source: str
    shown: str
    truth: str
    predicted: str
    confidence: float


@dataclass(frozen=True)
class ConfusedPair:
    """`rows` of `truth` were taken for `predicted`: `share` of all that label's rows."""

    truth: str
    predicted: str
    rows: int
    share: float


def score(targets: Integers, probabilities: Floats, labels: Sequence[str], top_k: int = 3, bins: int = 15) -> Metrics:
    """Score probabilities[rows, classes] against class indices targets[rows].

    Raises ValueError when the shapes do not fit, a target is no class, or a row is no distribution.
    """
    _check(targets, probabilities, labels)
    ranked = _ranked(probabilities, top_k)
    predicted = ranked[:, 0]
    confusion = _confusion(targets, predicted, len(labels))
    calibration = _calibration(probabilities.max(axis=1), predicted == targets, bins)
    return Metrics(
        rows=len(targets),
        accuracy=_accuracy(confusion),
        accuracy_interval=_accuracy_interval(confusion),
        macro_f1=_macro_f1(confusion),
        top_k=top_k,
        top_k_accuracy=float(np.mean((ranked == targets[:, None]).any(axis=1))),
        expected_calibration_error=_calibration_error(calibration),
        per_class=_per_class(confusion, labels),
        calibration=calibration,
        confusion=confusion,
    )


def score_baseline(
    targets: Integers,
    predictions: Integers,
    classes: int,
    *,
    name: str,
    description: str,
    rows_used: int,
    seconds: float,
) -> BaselineScore:
    """Score class indices predictions[rows], by the same definitions as the model's."""
    confusion = _confusion(targets, predictions, classes)
    return BaselineScore(
        name=name,
        description=description,
        rows_used=rows_used,
        seconds=seconds,
        accuracy=_accuracy(confusion),
        accuracy_interval=_accuracy_interval(confusion),
        macro_f1=_macro_f1(confusion),
    )


def confident_mistakes(
    targets: Integers,
    probabilities: Floats,
    labels: Sequence[str],
    shown: Sequence[str],
    sources: Sequence[str],
    most: int = 50,
) -> list[Mistake]:
    """The wrong rows, most confident first; `shown` and `sources` hold one string for each row."""
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != targets)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
    return [
        Mistake(sources[row], shown[row], labels[targets[row]], labels[predicted[row]], float(confidence[row]))
        for row in worst
    ]


def confused_pairs(confusion: Integers, labels: Sequence[str], most: int = 20) -> list[ConfusedPair]:
    """The pairs of labels with the most rows of the first taken for the second, most first."""
    truths, predictions = np.nonzero(confusion)
    wrong = truths != predictions
    truths, predictions = truths[wrong], predictions[wrong]
    worst = np.argsort(-confusion[truths, predictions], kind="stable")[:most]
    return [
        ConfusedPair(labels[truth], labels[predicted], int(rows), float(rows / confusion[truth].sum()))
        for truth, predicted in zip(truths[worst], predictions[worst], strict=True)
        if (rows := confusion[truth, predicted])
    ]


def most_confused(confusion: Integers, most: int) -> NDArray[np.int64]:
    """The classes with the most mistakes, made of them or for them, in ascending order; all if there are no more."""
    mistakes = confusion.sum(axis=0) + confusion.sum(axis=1) - 2 * confusion.diagonal()
    return np.sort(np.argsort(-mistakes, kind="stable")[:most])


def wilson_interval(right: int, rows: int) -> tuple[float, float]:
    """95% interval of the share right / rows, by the score method of Wilson (1927).

    Unlike the normal approximation it stays within 0 to 1 and has a width at 0 and 1.
    """
    z = 1.959964  # the normal distribution's 97.5% point
    share = right / rows
    centre = share + z * z / (2 * rows)
    margin = z * sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    scale = 1 + z * z / rows
    return max(0.0, (centre - margin) / scale), min(1.0, (centre + margin) / scale)


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


def _confusion(targets: Integers, predicted: Integers, classes: int) -> NDArray[np.int64]:
    cells = targets.astype(np.int64) * classes + predicted
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def _accuracy(confusion: Integers) -> float:
    return float(confusion.trace() / confusion.sum())


def _accuracy_interval(confusion: Integers) -> tuple[float, float]:
    return wilson_interval(int(confusion.trace()), int(confusion.sum()))


def _f1(confusion: Integers) -> NDArray[np.float64]:
    return _ratio(2 * confusion.diagonal(), confusion.sum(axis=0) + confusion.sum(axis=1))


def _macro_f1(confusion: Integers) -> float:
    # a class neither met nor predicted says nothing, so it is left out, as scikit-learn does
    seen = confusion.sum(axis=0) + confusion.sum(axis=1) > 0
    return float(_f1(confusion)[seen].mean())


def _per_class(confusion: Integers, labels: Sequence[str]) -> tuple[ClassScore, ...]:
    right, rows = confusion.diagonal(), confusion.sum(axis=1)
    columns = _ratio(right, confusion.sum(axis=0)), _ratio(right, rows), _f1(confusion), rows
    return tuple(
        ClassScore(label, *scores)
        for label, *scores in zip(labels, *(column.tolist() for column in columns), strict=True)
    )


def _calibration(confidence: Floats, right: NDArray[np.bool_], bins: int) -> tuple[CalibrationBin, ...]:
    edges = np.linspace(0, 1, bins + 1)
    bin_of_row = np.searchsorted(edges[1:-1], confidence, side="left")
    return tuple(
        CalibrationBin(
            low=float(edges[index]),
            high=float(edges[index + 1]),
            rows=int(inside.sum()),
            confidence=float(confidence[inside].mean(dtype=np.float64)),
            accuracy=float(right[inside].mean()),
        )
        for index in range(bins)
        if (inside := bin_of_row == index).any()
    )


def _calibration_error(calibration: Sequence[CalibrationBin]) -> float:
    """The gap between confidence and accuracy, averaged over rows.

    Equation 3 of Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
    """
    gaps = sum(part.rows * abs(part.confidence - part.accuracy) for part in calibration)
    return gaps / sum(part.rows for part in calibration)


def _ratio(parts: Integers, wholes: Integers) -> NDArray[np.float64]:
    """Zero where there is no whole."""
    return np.divide(parts, wholes, out=np.zeros(len(parts)), where=wholes > 0)
