"""A regression's part of the evaluation report and of the model card."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boatyard.config.schema import Config
from boatyard.evaluate.markdown import escape, shorten, table
from boatyard.tasks.protocol import Outputs, Section, ShownRows, Target
from boatyard.tasks.regression.metrics import COVERAGE, Floats, answered, ranges
from boatyard.tasks.score import Scores, shown

DOCUMENTS = ("answers.png", "residuals.png")
LONGEST_ROW = 300


def report(
    scores: Scores,
    outputs: Outputs,
    targets: NDArray[Any],
    target: Target,
    rows: ShownRows,
    config: Config,
    folder: Path,
) -> list[Section]:
    """Answers against truths, errors, the interval and the rows that are furthest off."""
    from boatyard.tasks.regression.plots import answers_png, residuals_png  # most stages draw nothing

    answers, truths = answered(outputs), np.asarray(targets, np.float64)
    unit = f" in {target['unit']}" if target.get("unit") else ""
    answers_png(folder / "answers.png", answers, truths, target.get("margin"), unit)
    residuals_png(folder / "residuals.png", answers, truths, unit)
    return [
        Section("Answers against truths", ["![Answers against truths](answers.png)", _interval(scores, target)]),
        Section("Error, by the truth", [_ranges(answers, truths), "![Errors, by the answer](residuals.png)"]),
        Section("The worst rows", [_worst(answers, truths, rows, config.evaluate.mistakes)]),
    ]


def card_parts(target: Target) -> list[Section]:
    """What the number and its interval are, and what they are not."""
    return [
        Section(
            "Number and interval",
            [
                f"Answers each row with a number{_in_unit(target)}, and with `low` to `high`: that number "
                f"minus and plus {shown(target['margin'])}. This interval held the truth of {COVERAGE:.0%} of "
                "validation rows, and does so for rows like them. It is as wide for an easy row as for a hard one.",
                f"Has learnt from numbers between {shown(target['minimum'])} and {shown(target['maximum'])}: do not "
                "expect others of it.",
            ],
        )
    ]


def _in_unit(target: Target) -> str:
    return f" in {escape(target['unit'])}" if target.get("unit") else ""


def _interval(scores: Scores, target: Target) -> str:
    coverage = next(score for score in scores.all if score.name == "interval_coverage")
    return (
        f"The interval, each answer plus or minus {shown(target['margin'])}{_in_unit(target)}, was fitted on "
        f"validation to hold {COVERAGE:.0%} of truths. Here it holds {coverage.value:.1%}."
    )


def _ranges(answers: Floats, truths: Floats) -> str:
    return table(
        ("Truth", "Rows", "Mean absolute error", "Mean error"),
        [
            (
                f"{shown(part['low'])} to {shown(part['high'])}",
                f"{part['rows']:,}",
                shown(part["mean_absolute_error"]),
                shown(part["mean_error"]),
            )
            for part in ranges(answers, truths)
        ],
        align="lrrr",
    )


def _worst(answers: Floats, truths: Floats, rows: ShownRows, most: int) -> str:
    worst = np.argsort(-np.abs(answers - truths), kind="stable")[:most]
    if not len(worst):
        return "None."
    return table(
        ("Error", "Answer", "Truth", "Row", "Source"),
        [
            (
                shown(answers[row] - truths[row]),
                shown(answers[row]),
                shown(truths[row]),
                shorten(rows.texts[row], LONGEST_ROW),
                rows.sources[row],
            )
            for row in worst
        ],
        align="rrrll",
    )
