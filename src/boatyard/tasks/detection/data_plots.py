"""The pictures of a data report on boxes, as PNG files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from boatyard.data.plots import COLOURS
from boatyard.data.summary import Drawn
from boatyard.tasks.detection.targets import boxes_of

_MOST_MAPS = 8
_CELLS = 24  # a side of a map of positions
_COLUMNS = 4


def colour_of(place: int) -> str:
    """Of a class, the same in all pictures."""
    return COLOURS[place % len(COLOURS)]


def boxes_png(path: Path, classes: Sequence[str], boxes: NDArray[np.float32], per_row: Sequence[int]) -> None:
    """Draw boxes per picture, and sizes and aspects by class. `boxes`: [boxes, 5], the class first."""
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    counts, by_size, by_aspect = figure.subplots(1, 3)
    counts.hist(per_row, np.arange(max(per_row) + 2) - 0.5, color=COLOURS[0], alpha=0.85)
    counts.set(xlabel="boxes in a picture", ylabel="pictures")
    sides = boxes[:, 3:5] - boxes[:, 1:3]
    sizes, aspects = np.sqrt(sides.prod(1)), sides[:, 0] / sides[:, 1]
    _by_class(by_size, classes, boxes[:, 0], sizes, _steps(sizes, 1.25))
    by_size.set(xlabel="size: the square root of the area, in pixels", ylabel="boxes")
    _by_class(by_aspect, classes, boxes[:, 0], aspects, _steps(aspects, 1.15))
    by_aspect.set(xlabel="width / height", ylabel="boxes")
    by_aspect.legend(frameon=False, fontsize="small")
    for axes in (counts, by_size, by_aspect):
        axes.spines[["top", "right"]].set_visible(False)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    figure.savefig(path, dpi=100, format="png")


def positions_png(
    path: Path, classes: Sequence[str], relative: NDArray[np.float64], of_class: NDArray[np.float32]
) -> None:
    """Draw for each class where in the picture its boxes lie. `relative`: [boxes, 4], as shares of width and height."""
    numbers = np.argsort(-np.bincount(of_class.astype(int), minlength=len(classes)), kind="stable")[:_MOST_MAPS]
    rows = -(-len(numbers) // _COLUMNS)
    figure = Figure(figsize=(11, 2.9 * rows), layout="constrained")
    all_axes = np.atleast_1d(figure.subplots(rows, min(_COLUMNS, len(numbers)))).ravel()
    for axes in all_axes[len(numbers) :]:
        axes.set_axis_off()
    for axes, number in zip(all_axes, numbers.tolist(), strict=False):
        chosen = relative[of_class == number]
        axes.imshow(_covered(chosen), cmap="Blues", extent=(0, 1, 1, 0), vmin=0)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(f"{classes[number]} ({len(chosen):,})", parse_math=False, fontsize="medium")
    figure.savefig(path, dpi=100, format="png")


def samples_png(path: Path, classes: Sequence[str], drawn: Sequence[Drawn]) -> None:
    """Draw pictures with their boxes, in the class's colour and with its name."""
    rows = -(-len(drawn) // _COLUMNS)
    figure = Figure(figsize=(12, 3 * rows), layout="constrained")
    all_axes = np.atleast_1d(figure.subplots(rows, _COLUMNS)).ravel()
    for axes in all_axes:
        axes.set_axis_off()
    for axes, each in zip(all_axes, drawn, strict=False):
        width, height = each.extent
        axes.imshow(each.canvas, extent=(0, width, height, 0))
        draw_boxes(axes, classes, boxes_of(each.target))
    figure.savefig(path, dpi=100, format="png")


def draw_boxes(axes: Axes, classes: Sequence[str], boxes: NDArray[np.float32]) -> None:
    """Upon a picture whose axes count its pixels."""
    for number, left, top, right, bottom in boxes.tolist():
        colour = colour_of(int(number))
        axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=colour, linewidth=1.4))
        label: dict[str, Any] = {"fontsize": 6.5, "color": "white", "va": "bottom", "parse_math": False}
        axes.text(left, top, classes[int(number)], **label, bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.8})


def _by_class(
    axes: Axes, classes: Sequence[str], of_class: NDArray[Any], values: NDArray[Any], edges: NDArray[Any]
) -> None:
    for number, label in enumerate(classes[: len(COLOURS)]):
        counted = np.histogram(values[of_class == number], edges)[0]
        axes.stairs(counted, edges, color=colour_of(number), linewidth=1.6, label=label)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:g}"[0] in "25" else "")


def _steps(values: NDArray[Any], factor: float) -> NDArray[np.float64]:
    """Edges of a histogram, each so many times the one before."""
    low, high = float(values.min()), float(values.max())
    count = max(1, int(np.ceil(np.log(high / low) / np.log(factor))))
    edges: NDArray[np.float64] = low / factor**0.5 * factor ** np.arange(count + 2)
    return edges


def _covered(relative: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each cell of the picture, how many boxes cover its middle."""
    middles = (np.arange(_CELLS) + 0.5) / _CELLS
    across = (relative[:, None, 0] <= middles) & (middles < relative[:, None, 2])
    down = (relative[:, None, 1] <= middles) & (middles < relative[:, None, 3])
    covered: NDArray[np.float64] = down.T.astype(float) @ across.astype(float)
    return covered
