"""A classifier's part of the evaluation report and of the model card."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boatyard.config.plurals import counted
from boatyard.config.schema import Config
from boatyard.evaluate.markdown import escape, shorten, table
from boatyard.tasks.classification.decision import decided
from boatyard.tasks.classification.familiarity import UNFAMILIAR_SHARE, fit_files  # noqa: F401 - for `training`
from boatyard.tasks.classification.map import fit_map  # noqa: F401 - for `training`
from boatyard.tasks.classification.metrics import (
    CalibrationBin,
    ClassScore,
    Integers,
    calibration,
    calibration_error,
    confused_pairs,
    confusion,
    per_class,
    predicted,
)
from boatyard.tasks.classification.ranking import CURVES, ranking, ranking_section
from boatyard.tasks.protocol import Outputs, Section, ShownRows, Target
from boatyard.tasks.score import Scores

DOCUMENTS = ("calibration.png", "confusion.png", CURVES, "mistakes.png")
LONGEST_ROW = 300
_DRAWN = 12  # mistakes
_ABSENT = "n/a"


@dataclass(frozen=True)
class Mistake:
    """A row that the model got wrong; `shown` is the row as a person reads it, and `row` its number."""

    source: str
    shown: str
    truth: str
    predicted: str
    confidence: float
    row: int


def report(
    scores: Scores,  # noqa: ARG001 - every task's signature
    outputs: Outputs,
    targets: NDArray[Any],
    target: Target,
    rows: ShownRows,
    config: Config,
    folder: Path,
) -> list[Section]:
    """Calibration, threshold, labels, curves, confusion and the most confident mistakes."""
    from boatyard.tasks.classification.plots import (  # most stages draw nothing
        calibration_png,
        confusion_png,
        curves_png,
    )

    labels, before = target["labels"], calibration(targets, outputs["probabilities"])
    outputs = decided(outputs, target)
    probabilities = outputs["probabilities"]
    bins = calibration(targets, probabilities)
    counts = confusion(targets, predicted(outputs), len(labels))
    mistakes = confident_mistakes(targets, outputs, labels, rows, config.evaluate.mistakes)
    ranked = ranking(targets, probabilities, labels)
    calibration_png(folder / "calibration.png", bins, calibration_error(bins), before)
    confusion_png(folder / "confusion.png", counts, labels)
    if ranked:
        curves_png(folder / CURVES, ranked)
    return [
        Section(
            "Calibration",
            [
                _calibration(bins, float((probabilities.argmax(axis=1) == targets).mean())),
                _temperature(target, calibration_error(before), calibration_error(bins)),
                "![Accuracy against confidence, and rows by confidence](calibration.png)",
            ],
        ),
        Section("Labels, worst first", [_labels(classes := per_class(targets, predicted(outputs), labels))]),
        *([_threshold(target, classes)] if "threshold" in target else []),
        *([ranking_section(ranked)] if ranked else []),
        Section(
            "Confusion",
            [_pairs(counts, labels), "![Confusion matrix: truth by row, prediction by column](confusion.png)"],
        ),
        Section("The most confident mistakes", [*_draw(folder / "mistakes.png", mistakes, rows), _mistakes(mistakes)]),
    ]


def card_parts(target: Target, scores: Scores) -> list[Section]:  # noqa: ARG001 - every task's signature
    """The labels, and what follows from there being no others."""
    labels = target["labels"]
    sign = "a low score is the only sign of it"
    if UNFAMILIAR_SHARE in target:
        sign = (
            'what is unlike the rows that it has learnt from has `"unfamiliar": true`, as '
            f"{target[UNFAMILIAR_SHARE]:.0%} of validation rows do"
        )
    return [
        Section(
            "Labels",
            [
                f"Puts each row into one of {len(labels):,} classes: {', '.join(map(escape, labels))}.",
                f"Always answers with one of its labels, also where none fits: {sign}.",
            ],
        )
    ]


def confident_mistakes(
    targets: Integers, outputs: Outputs, labels: Sequence[str], rows: ShownRows, most: int
) -> list[Mistake]:
    """The wrong rows, most confident first."""
    predictions = predicted(outputs)
    confidence = outputs["probabilities"][np.arange(len(predictions)), predictions]
    wrong = (predictions != targets).nonzero()[0]
    worst = wrong[(-confidence[wrong]).argsort(kind="stable")][:most]
    return [
        Mistake(
            rows.sources[row],
            rows.texts[row],
            labels[targets[row]],
            labels[predictions[row]],
            float(confidence[row]),
            int(row),
        )
        for row in worst
    ]


def _calibration(bins: Sequence[CalibrationBin], accuracy: float) -> str:
    claimed = sum(part.rows * part.confidence for part in bins) / sum(part.rows for part in bins)
    gap = claimed - accuracy
    verdict = (
        "is over-confident"
        if gap > 0.01
        else "is under-confident"
        if gap < -0.01
        else "is neither over- nor under-confident"
    )
    return f"The model {verdict}: its confidence averages {claimed:.3f}, and it is right in {accuracy:.3f} of rows."


def _temperature(target: Target, before: float, after: float) -> str:
    return (
        f"Its logits are divided by the temperature {target.get('temperature', 1)}, which was fitted on validation. "
        f"Without that its expected calibration error would be {before:.4f}, and it is {after:.4f}."
    )


def _threshold(target: Target, classes: Sequence[ClassScore]) -> Section:
    (positive,) = (each for each in classes if each.label == target["positive"])
    said = (
        f"{escape(positive.label)} is answered where its probability is {target['threshold']:.4g} or more, which was "
        f"chosen on validation. Here that gives a precision of {positive.precision:.3f} and a recall of "
        f"{positive.recall:.3f}, of {counted(positive.rows, 'row')}."
    )
    return Section("Threshold", [said])


def _labels(classes: Sequence[ClassScore]) -> str:
    # a label without rows was not measured: it is listed, after the worst
    worst_first = sorted(classes, key=lambda scores: (scores.rows == 0, scores.f1))
    return table(
        ("Label", "Precision", "Recall", "F1", "Rows"),
        [
            (
                scores.label,
                f"{scores.precision:.3f}",
                f"{scores.recall:.3f}",
                f"{scores.f1:.3f}",
                f"{scores.rows:,}",
            )
            if scores.rows
            else (scores.label, _ABSENT, _ABSENT, _ABSENT, "0")
            for scores in worst_first
        ],
        align="lrrrr",
    )


def _pairs(counts: Integers, labels: Sequence[str]) -> str:
    pairs = confused_pairs(counts, labels)
    if not pairs:
        return "No label was taken for another."
    rows = [(pair.truth, pair.predicted, f"{pair.rows:,}", f"{pair.share:.1%}") for pair in pairs]
    return table(("Truth", "Taken for", "Rows", "Share of the label"), rows, align="llrr")


def _draw(path: Path, mistakes: Sequence[Mistake], rows: ShownRows) -> list[str]:
    """Nothing where rows are not drawn."""
    from boatyard.tasks.classification.plots import mistakes_png

    drawn = [(each, canvas) for each in mistakes[:_DRAWN] if (canvas := rows.canvas(each.row)) is not None]
    if not drawn:
        return []
    mistakes_png(path, drawn)
    return ["![The most confident mistakes](mistakes.png)"]


def _mistakes(mistakes: Sequence[Mistake]) -> str:
    if not mistakes:
        return "None."
    return table(
        ("Confidence", "Prediction", "Truth", "Row", "Source"),
        [
            (
                f"{mistake.confidence:.3f}",
                mistake.predicted,
                mistake.truth,
                shorten(mistake.shown, LONGEST_ROW),
                mistake.source,
            )
            for mistake in mistakes
        ],
        align="rllll",
    )
