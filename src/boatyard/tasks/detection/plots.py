"""The pictures of an evaluation report on boxes, as PNG files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from boatyard.data.plots import COLOURS
from boatyard.evaluate.pictures import save_picture, side_by_side
from boatyard.tasks.detection.data_plots import colour_of, draw_boxes
from boatyard.tasks.detection.matching import Found, There
from boatyard.tasks.detection.mistakes import Mistake
from boatyard.tasks.detection.precision import Curve

_WRONG, _TRUE = "#d62728", "white"


def curves_png(path: Path, curves: Mapping[str, Curve], threshold: float) -> None:
    """Draw precision against recall of each class, with a dot where the threshold is."""
    figure = Figure(figsize=(5.5, 4.2), layout="constrained")
    axes = figure.subplots()
    for number, (label, curve) in enumerate(curves.items()):
        if number < len(COLOURS) and len(curve.scores):
            axes.plot(curve.recall, curve.precision, color=colour_of(number), linewidth=1.6, label=label)
            if answered := int((curve.scores >= threshold).sum()):
                axes.plot(curve.recall[answered - 1], curve.precision[answered - 1], "o", color=colour_of(number))
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.legend(frameon=False, fontsize="small", loc="lower left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.92")
    save_picture(figure, path)


class Canvas(NamedTuple):
    """A row that is drawn, by its number. `extent`: how far places in it go."""

    row: int
    pixels: NDArray[np.uint8]
    extent: Sequence[float]


def answers_png(
    path: Path, classes: Sequence[str], drawn: Sequence[Canvas], found: Sequence[Found], there: Sequence[There]
) -> None:
    """Draw what is found in the class's colour and with its name, and what is there in white."""
    figure, all_axes = side_by_side([each.pixels for each in drawn], [each.extent for each in drawn])
    for axes, (row, *_) in zip(all_axes, drawn, strict=True):
        for box in there[row].boxes:
            _outline(axes, box, _TRUE, 2.4)
        draw_boxes(axes, classes, np.column_stack([found[row].classes, found[row].boxes]))
    save_picture(figure, path)


def mistakes_png(
    path: Path,
    classes: Sequence[str],
    mistakes: Sequence[Mistake],
    drawn: Sequence[Canvas],
    found: Sequence[Found],
    there: Sequence[There],
) -> None:
    """Draw the wrong boxes in red, with what is there in white. `drawn`: the mistakes' rows."""
    figure, all_axes = side_by_side([each.pixels for each in drawn], [each.extent for each in drawn])
    for axes, mistake in zip(all_axes, mistakes, strict=True):
        answer = found[mistake.picture]
        for box in there[mistake.picture].boxes:
            _outline(axes, box, _TRUE, 1.0)
        _outline(axes, answer.boxes[mistake.place], _WRONG, 1.8)
        title = f"{classes[answer.classes[mistake.place]]} {mistake.score:.2f}: {mistake.why}"
        axes.set_title(title, parse_math=False, fontsize=7.5)
    save_picture(figure, path)


def _outline(axes: Axes, box: NDArray[np.float32], colour: str, width: float) -> None:
    left, top, right, bottom = box.tolist()
    axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=colour, linewidth=width))
