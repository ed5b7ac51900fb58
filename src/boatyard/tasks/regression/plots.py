"""The pictures of a regression's evaluation report, as PNG files."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from boatyard.evaluate.pictures import save_picture
from boatyard.tasks.regression.interval import Floats

_POINT: dict[str, Any] = {"s": 9, "alpha": 0.45, "color": "#08519c", "edgecolors": "none"}


def answers_png(path: Path, answers: Floats, truths: Floats, ends: tuple[Floats, Floats], unit: str) -> None:
    """Draw each answer against its truth, with the `ends` of its interval; on the line it is right."""
    figure = Figure(figsize=(6.4, 6.4))
    axes = figure.add_subplot()
    right = [float(min(answers.min(), truths.min())), float(max(answers.max(), truths.max()))]
    axes.vlines(truths, *ends, color="0.85", linewidth=0.8)
    axes.plot(right, right, color="0.4", linewidth=1)
    axes.scatter(truths, answers, **_POINT)
    axes.set_xlabel(f"truth{unit}", parse_math=False)
    axes.set_ylabel(f"answer{unit}", parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    save_picture(figure, path)


def residuals_png(path: Path, answers: Floats, truths: Floats, unit: str) -> None:
    """Draw how much too high each answer is, against the answer, and how often each error is made."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    beside, counted = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    residuals = answers - truths
    beside.axhline(0, color="0.4", linewidth=1)
    beside.scatter(answers, residuals, **_POINT)
    beside.set_xlabel(f"answer{unit}", parse_math=False)
    beside.set_ylabel(f"answer less truth{unit}", parse_math=False)
    counted.hist(residuals, bins=30, orientation="horizontal", color="#9ecae1", edgecolor="white")
    counted.set(xlabel="rows")
    for axes in (beside, counted):
        axes.spines[["top", "right"]].set_visible(False)
    save_picture(figure, path)
