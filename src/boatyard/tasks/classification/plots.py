"""The pictures of a classifier's evaluation report, as PNG files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from boatyard.evaluate.markdown import shorten
from boatyard.evaluate.pictures import save_picture, side_by_side
from boatyard.tasks.classification.metrics import CalibrationBin, most_confused
from boatyard.tasks.classification.ranking import Ranked

if TYPE_CHECKING:
    from boatyard.tasks.classification.report import Mistake

MOST_CLASSES = 100  # more make a picture that no screen shows
LONGEST_LABEL = 48
FULL_RED = 0.2  # of a label's rows; a model that errs less than this is drawn in lighter red
LARGE = 40  # classes; from here on the eye loses a row on its way from the left edge


def confusion_png(path: Path, confusion: NDArray[np.integer[Any]], labels: Sequence[str]) -> None:
    """Draw rows counted by [truth, prediction]: what is right in pale blue, what is wrong in red.

    Colours are shares of a row. Of more than 100 classes, those with the most mistakes are drawn.
    """
    rows = np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    title = ""
    if len(labels) > MOST_CLASSES:
        title = f"The {MOST_CLASSES} classes with the most mistakes, of {len(labels)}"
        drawn = most_confused(confusion, MOST_CLASSES)
        confusion, rows = confusion[np.ix_(drawn, drawn)], rows[drawn]
        labels = [labels[index] for index in drawn]
    share = confusion / rows
    diagonal = np.eye(len(labels), dtype=bool)
    wrong = (confusion > 0) & ~diagonal
    worst = max(FULL_RED, float(share[wrong].max(initial=0)))
    figure, axes = _grid([shorten(label, LONGEST_LABEL) for label in labels])
    axes.set_title(title, pad=16)
    cells = np.ones((*share.shape, 4))
    # the scales' ends are left out: no error is white, no count drowns in its colour
    cells[diagonal] = colormaps["Blues"](0.4 * share[diagonal])
    cells[wrong] = colormaps["Reds"](0.2 + 0.7 * share[wrong] / worst)
    axes.imshow(cells, interpolation="nearest")
    for truth, predicted in np.argwhere(confusion > 0):
        right = truth == predicted
        on_dark = not right and share[truth, predicted] > worst / 2
        count = int(confusion[truth, predicted])
        axes.text(
            predicted,
            truth,
            str(count) if count < 10_000 else f"{count // 1000}k",
            ha="center",
            va="center",
            fontsize=7 if count >= 1000 and len(labels) > LARGE else 9,
            fontweight="normal" if right else "bold",
            color="0.35" if right else "white" if on_dark else "black",
            in_layout=False,  # it lies inside its cell: measuring thousands takes seconds
        )
    save_picture(figure, path)


def calibration_png(
    path: Path, calibration: Sequence[CalibrationBin], error: float, before: Sequence[CalibrationBin] = ()
) -> None:
    """Draw accuracy against confidence (a reliability diagram), and how many rows each bin holds.

    `before`: the same without a temperature.
    """
    figure = Figure(figsize=(6.4, 7.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    low = [part.low for part in calibration]
    width = [part.high - part.low for part in calibration]
    rows = [part.rows for part in calibration]
    confidence = [part.confidence for part in calibration]
    accuracy = [part.accuracy for part in calibration]
    upper.bar(low, accuracy, width, align="edge", color="#9ecae1", edgecolor="white")
    upper.plot([0, 1], [0, 1], "--", color="0.4", linewidth=1, label="perfectly calibrated")
    if before:
        points = [part.confidence for part in before], [part.accuracy for part in before]
        upper.plot(*points, "o:", color="0.6", markersize=4, label="as trained, at temperature 1")
    upper.plot(confidence, accuracy, "o-", color="#08519c", label="the model")
    upper.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="accuracy: the share that is right")
    upper.set_title(f"Expected calibration error {error:.3f}")
    upper.legend(loc="upper left", frameon=False)
    upper.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    bars = lower.bar(low, rows, width, align="edge", color="0.75", edgecolor="white")
    lower.bar_label(bars, [f"{count:,}" for count in rows], fontsize=8, padding=2)
    lower.margins(y=0.2)
    lower.set(xlabel="confidence: the probability of the predicted label", ylabel="rows")
    lower.xaxis.set_major_formatter(PercentFormatter(xmax=1))
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    save_picture(figure, path)


def curves_png(path: Path, ranked: Sequence[Ranked]) -> None:
    """Draw each label's ROC curve and its precision over recall, with the areas below them."""
    figure = Figure(figsize=(11, 5.4), layout="constrained")
    roc, precision = figure.subplots(1, 2)
    roc.plot([0, 1], [0, 1], "--", color="0.6", linewidth=1)
    for each, colour in zip(ranked, colormaps["tab10"].colors, strict=False):  # type: ignore[attr-defined]
        name = shorten(each.label, LONGEST_LABEL)
        roc.plot(*each.roc, color=colour, label=f"{name}: {each.auroc:.4f}")
        precision.plot(*each.recall_precision, color=colour, label=f"{name}: {each.average_precision:.4f}")
    roc.set(xlabel="share of the other rows taken for it", ylabel="share of its rows found", title="ROC curve")
    precision.set(xlabel="recall", ylabel="precision", title="Precision and recall")
    for axes, place in ((roc, "lower right"), (precision, "lower left")):
        axes.set(xlim=(-0.01, 1.01), ylim=(0, 1.02))
        for text in axes.legend(loc=place, frameon=False, fontsize=8).get_texts():
            text.set_parse_math(False)  # a label is data: a dollar sign in it is not the start of a formula
        axes.spines[["top", "right"]].set_visible(False)
    save_picture(figure, path)


def mistakes_png(path: Path, drawn: Sequence[tuple["Mistake", NDArray[np.uint8]]]) -> None:
    """Draw rows that were answered wrongly, each with what was said and what is true."""
    figure, all_axes = side_by_side([canvas for _, canvas in drawn])
    for axes, (mistake, _) in zip(all_axes, drawn, strict=True):
        said, true = (shorten(label, LONGEST_LABEL) for label in (mistake.predicted, mistake.truth))
        axes.set_title(f"{said} {mistake.confidence:.2f}\nit is {true}", parse_math=False, fontsize=8)
    save_picture(figure, path)


def _grid(names: Sequence[str]) -> tuple[Figure, Axes]:
    """An empty square grid with the names along two sides, or along all four when it is large."""
    side = float(np.clip(14 / len(names), 0.25, 1.4)) * len(names)  # inches
    figure = Figure(figsize=(side, side))
    axes = figure.add_axes((0, 0, 1, 1))
    # a label is data: a dollar sign in it is not the start of a formula
    axes.set_xticks(range(len(names)), names, fontsize=9, parse_math=False, rotation=90)
    axes.set_yticks(range(len(names)), names, fontsize=9, parse_math=False)
    large = len(names) > LARGE
    axes.tick_params(length=0, labeltop=large, labelright=large)
    axes.set(xlabel="predicted", ylabel="truth")
    between = np.arange(1, len(names)) - 0.5
    axes.hlines(between, -0.5, len(names) - 0.5, color="0.88", linewidth=0.6)
    axes.vlines(between, -0.5, len(names) - 0.5, color="0.88", linewidth=0.6)
    return figure, axes
