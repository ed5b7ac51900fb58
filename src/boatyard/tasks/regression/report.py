"""A regression's part of the evaluation report and of the model card."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boatyard.config.schema import Config
from boatyard.evaluate.markdown import escape, shorten, table
from boatyard.tasks.defaults import fit_files, fit_map  # noqa: F401 - for `training`
from boatyard.tasks.protocol import Outputs, Section, ShownRows, Target
from boatyard.tasks.regression.interval import LEVEL, Floats
from boatyard.tasks.regression.metrics import answered, intervals
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
    answers_png(folder / "answers.png", answers, truths, intervals(outputs, target) or (answers, answers), unit)
    residuals_png(folder / "residuals.png", answers, truths, unit)
    return [
        Section("Answers against truths", ["![Answers against truths](answers.png)", _interval(scores, target)]),
        Section("Error, by the truth", [_ranges(scores), "![Errors, by the answer](residuals.png)"]),
        Section("The worst rows", [_worst(answers, truths, rows, config.evaluate.mistakes)]),
    ]


def card_parts(target: Target, scores: Scores) -> list[Section]:
    """What the number and its interval are, and what they are not."""
    return [
        Section("Error, by the truth", [_ranges(scores)]),
        Section(
            "Number and interval",
            [
                f"Answers each row with a number{_in_unit(target)}, and with `low` to `high`: an interval that held "
                f"the truth of {LEVEL:.0%} of validation rows, and does so for rows like them. It is wider where the "
                "network expects to err more. A client may choose another `level`.",
                _interval(scores, target),
                f"Has learnt from numbers between {shown(target['minimum'])} and {shown(target['maximum'])}: do not "
                "expect others of it.",
            ],
        ),
    ]


def _in_unit(target: Target) -> str:
    return f" in {escape(target['unit'])}" if target.get("unit") else ""


def _interval(scores: Scores, target: Target) -> str:
    figures = scores.by_name()
    return (
        f"The interval was fitted on validation to hold {LEVEL:.0%} of truths. On test rows it holds "
        f"{figures['interval_coverage']:.1%}, and half of all rows have one that is no wider than "
        f"{shown(figures['interval_width'])}{_in_unit(target)}."
    )


def _ranges(scores: Scores) -> str:
    """The fifths of the rows, by the size of the truth."""
    return table(
        ("Truth", "Rows", "Mean absolute error", "Mean error", f"In the {LEVEL:.0%} interval"),
        [
            (
                f"{shown(part['low'])} to {shown(part['high'])}",
                f"{part['rows']:,}",
                shown(part["mean_absolute_error"]),
                shown(part["mean_error"]),
                f"{part['interval_coverage']:.1%}",
            )
            for part in scores.detail["ranges"]
        ],
        align="lrrrr",
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
