"""The picture of a data report on a table, as a PNG file."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from boatyard.data.plots import COLOURS
from boatyard.inputs.table.cells import Kind
from boatyard.inputs.table.strength import as_numbers

_ACROSS = 3
_MOST_LEVELS = 8
_LONGEST_LEVEL = 14


def columns_png(
    path: Path, columns: Mapping[str, Sequence[Any]], kinds: Mapping[str, Kind], targets: NDArray[Any]
) -> None:
    """Draw each column against the target: numbers as points, levels as boxes."""
    down = -(-len(columns) // _ACROSS)
    figure = Figure(figsize=(9, 2.6 * down), layout="constrained")
    for place, (name, values) in enumerate(columns.items(), 1):
        axes = figure.add_subplot(down, _ACROSS, place)
        if kinds[name] in ("number", "date"):
            _points(axes, as_numbers(values, kinds[name]), targets, dates=kinds[name] == "date")
        else:
            _boxes(axes, ["missing" if value is None else str(value) for value in values], targets)
        axes.set_title(name[:40], fontsize=9, parse_math=False)
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=100, format="png")


def _points(axes: Axes, values: NDArray[np.float64], targets: NDArray[Any], *, dates: bool) -> None:
    axes.plot(values, targets, ".", color=COLOURS[0], markersize=2, alpha=0.3)
    if dates:
        axes.xaxis.set_major_formatter(lambda day, _: str(date.fromordinal(int(day)).year) if day >= 1 else "")


def _boxes(axes: Axes, values: Sequence[str], targets: NDArray[Any]) -> None:
    names, rows = np.unique(np.array(values, object).astype(str), return_counts=True)
    frequent = names[np.argsort(-rows)][:_MOST_LEVELS]
    groups = [targets[np.array(values) == name] for name in frequent]
    axes.boxplot(groups, showfliers=False, medianprops={"color": COLOURS[1]})
    axes.set_xticks(range(1, len(frequent) + 1), [name[:_LONGEST_LEVEL] for name in frequent], rotation=45, ha="right")
