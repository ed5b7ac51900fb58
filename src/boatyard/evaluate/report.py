"""The evaluation report: a folder that a person reads and a program can."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from boatyard.evaluate.markdown import escape, shorten, table
from boatyard.evaluate.metrics import BaselineScore, Metrics, Mistake, confused_pairs, most_confused

LONGEST_ROW = 300
MOST_LABELS = 300  # in the confusion that metrics.json holds
ABSENT = "n/a"


def write_report(
    folder: Path,
    *,
    title: str,
    split: str,
    metrics: Metrics,
    baseline: BaselineScore,
    mistakes: Sequence[Mistake],
) -> None:
    """Write `report.md`, `metrics.json`, `confusion.png` and `calibration.png` into `folder`."""
    from boatyard.evaluate.plots import calibration_png, confusion_png  # most stages draw nothing

    folder.mkdir(parents=True, exist_ok=True)
    confusion_png(folder / "confusion.png", metrics.confusion, metrics.labels)
    calibration_png(folder / "calibration.png", metrics.calibration, metrics.expected_calibration_error)
    numbers = json.dumps(_numbers(title, split, metrics, baseline), indent=2, ensure_ascii=False)
    # a lone surrogate, which UTF-8 cannot hold, is written as the JSON escape that it is
    (folder / "metrics.json").write_text(numbers + "\n", encoding="utf-8", errors="backslashreplace")
    report = render(title=title, split=split, metrics=metrics, baseline=baseline, mistakes=mistakes)
    (folder / "report.md").write_text(report, encoding="utf-8")


def render(*, title: str, split: str, metrics: Metrics, baseline: BaselineScore, mistakes: Sequence[Mistake]) -> str:
    """The Markdown of the report, which shows the plots that lie beside it."""
    return "\n\n".join(_parts(title, split, metrics, baseline, mistakes)) + "\n"


def losing_sentence(metrics: Metrics, baseline: BaselineScore) -> str | None:
    """What to say when the model is behind the baseline in accuracy or macro-F1; None when it is not."""
    gaps = {
        "accuracy": baseline.accuracy - metrics.accuracy,
        "macro-F1": baseline.macro_f1 - metrics.macro_f1,
    }
    lost = [f"{_points(gap)} of {measure}" for measure, gap in gaps.items() if gap > 0]
    return f"The model loses to the baseline by {' and '.join(lost)}." if lost else None


def _points(gap: float) -> str:
    return f"{100 * gap:.2f} points" if gap >= 0.0001 else "less than 0.01 points"


def _numbers(title: str, split: str, metrics: Metrics, baseline: BaselineScore) -> dict[str, Any]:
    """The confusion of more than MOST_LABELS labels is that of those with the most mistakes: it grows by the square."""
    chosen = most_confused(metrics.confusion, MOST_LABELS)
    return {
        "title": title,
        "split": split,
        **metrics.headline(),
        "baseline": asdict(baseline),
        "per_class": [asdict(scores) for scores in metrics.per_class],
        "detail": {
            "labels": [metrics.labels[index] for index in chosen],
            "confusion": metrics.confusion[np.ix_(chosen, chosen)].tolist(),
            "calibration": [asdict(part) for part in metrics.calibration],
        },
    }


def _parts(
    title: str, split: str, metrics: Metrics, baseline: BaselineScore, mistakes: Sequence[Mistake]
) -> Iterator[str]:
    yield f"# {escape(title)}"
    yield f"Measured on {metrics.rows:,} rows of the {escape(split)} split."
    yield _headline(metrics, baseline)
    if sentence := losing_sentence(metrics, baseline):
        yield f"**{sentence}**"
    yield (
        f"Accuracy with its 95% interval. The baseline: {escape(baseline.description)}."
        f" Fitting it took {baseline.seconds:.1f} s."
    )
    yield "## Calibration"
    yield _calibration(metrics)
    yield "![Accuracy against confidence, and rows by confidence](calibration.png)"
    yield "## Labels, worst first"
    yield _labels(metrics)
    yield "## Confusion"
    yield _pairs(metrics)
    yield "![Confusion matrix: truth by row, prediction by column](confusion.png)"
    yield "## The most confident mistakes"
    yield _mistakes(mistakes)


def _headline(metrics: Metrics, baseline: BaselineScore) -> str:
    rows = [
        ("Accuracy", _with_interval(metrics), _with_interval(baseline)),
        ("Macro-F1", f"{metrics.macro_f1:.3f}", f"{baseline.macro_f1:.3f}"),
    ]
    if metrics.top_k < len(metrics.labels):  # else it is 1 by definition
        rows.append((f"Top-{metrics.top_k} accuracy", f"{metrics.top_k_accuracy:.3f}", ABSENT))
    rows.append(("Expected calibration error", f"{metrics.expected_calibration_error:.3f}", ABSENT))
    return table(("", "Model", "Baseline"), rows, align="lrr")


def _with_interval(scores: Metrics | BaselineScore) -> str:
    low, high = scores.accuracy_interval
    return f"{scores.accuracy:.3f} ({low:.3f} to {high:.3f})"


def _calibration(metrics: Metrics) -> str:
    claimed = sum(part.rows * part.confidence for part in metrics.calibration) / metrics.rows
    gap = claimed - metrics.accuracy
    verdict = (
        "is over-confident"
        if gap > 0.01
        else "is under-confident"
        if gap < -0.01
        else "is neither over- nor under-confident"
    )
    return (
        f"The model {verdict}: its confidence averages {claimed:.3f}, and it is right in"
        f" {metrics.accuracy:.3f} of rows."
    )


def _labels(metrics: Metrics) -> str:
    # a label without rows was not measured: it is listed, after the worst
    worst_first = sorted(metrics.per_class, key=lambda scores: (scores.rows == 0, scores.f1))
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
            else (scores.label, ABSENT, ABSENT, ABSENT, "0")
            for scores in worst_first
        ],
        align="lrrrr",
    )


def _pairs(metrics: Metrics) -> str:
    pairs = confused_pairs(metrics.confusion, metrics.labels)
    if not pairs:
        return "No label was taken for another."
    rows = [(pair.truth, pair.predicted, f"{pair.rows:,}", f"{pair.share:.1%}") for pair in pairs]
    return table(("Truth", "Taken for", "Rows", "Share of the label"), rows, align="llrr")


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
