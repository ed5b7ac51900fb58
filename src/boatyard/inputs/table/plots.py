"""The picture of a data report on a table, as a PNG file."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from boatyard.data.plots import COLOURS
from boatyard.inputs.table.cells import Kind
from boatyard.inputs.table.groups import level_name
from boatyard.inputs.table.strength import are_classes, as_numbers

_ACROSS = 3
_MOST_LEVELS = 8
_LONGEST_LEVEL = 14
_LONGEST_CLASS = 24
_BINS = 8
_HEIGHT, _BETWEEN, _BELOW, _LEGEND = 2.7, 1.0, 0.75, 0.3  # inches
_MONTHS = 500  # days, from which on the day of the month does not count
_POINTS = 4_000  # more hide each other


def columns_png(
    path: Path, columns: Mapping[str, Sequence[Any]], kinds: Mapping[str, Kind], targets: NDArray[Any], names: list[str]
) -> None:
    """Draw each column against the target.

    Of a number as target: numbers as points, levels as boxes. Of classes, with these `names`: the shares of the
    most frequent ones, by level or by range.
    """
    down = -(-len(columns) // _ACROSS)
    height = _HEIGHT * down + _LEGEND
    figure = Figure(figsize=(9, height))
    figure.subplots_adjust(  # by hand: a layout engine takes seconds for some dozens of plots
        0.06, (_BELOW + _LEGEND) / height, 0.99, 1 - 0.3 / height, 0.2, _BETWEEN / (_HEIGHT - _BETWEEN)
    )
    classes = are_classes(targets)
    for place, (name, values) in enumerate(columns.items(), 1):
        axes = figure.add_subplot(down, _ACROSS, place)
        levels = kinds[name] in ("category", "truth")
        if classes:
            _shares(axes, *(_by_level(values) if levels else _by_range(values, kinds[name])), targets, names)
        elif levels:
            _boxes(axes, *_by_level(values), targets)
        else:
            _points(axes, values, kinds[name], targets)
        axes.set_title(name[:40], fontsize=9, parse_math=False)
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    if classes:
        handles, labels = figure.axes[0].get_legend_handles_labels()
        legend = figure.legend(
            handles, labels, loc="lower center", ncols=max(1, len(labels)), frameon=False, fontsize=8
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    figure.savefig(path, dpi=100, format="png")


def _points(axes: Axes, values: Sequence[Any], kind: Kind, targets: NDArray[Any]) -> None:
    there = [place for place, value in enumerate(values) if value is not None]
    drawn = np.array(there, np.int64)[:: len(there) // _POINTS + 1]
    numbers = as_numbers([values[place] for place in drawn], kind)
    if kind == "date":
        digits = len("2024-05") if len(numbers) and np.ptp(numbers) > _MONTHS else len("2024-05-31")
        axes.xaxis.set_major_formatter(lambda day, _: str(date.fromordinal(int(day)))[:digits] if day >= 1 else "")
        axes.xaxis.set_major_locator(MaxNLocator(4))
    else:
        axes.xaxis.set_major_formatter(_short)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.plot(numbers, targets[drawn], ".", color=COLOURS[0], markersize=2, alpha=0.3)
    axes.yaxis.set_major_formatter(_short)


def _boxes(axes: Axes, level_of: NDArray[np.int64], levels: Sequence[str], targets: NDArray[Any]) -> None:
    groups = [targets[level_of == level] for level in range(len(levels))]
    axes.boxplot(groups, showfliers=False, medianprops={"color": COLOURS[1]})
    axes.set_xticks(range(1, len(levels) + 1), levels, rotation=45, ha="right", parse_math=False)
    axes.yaxis.set_major_formatter(_short)


def _shares(
    axes: Axes, level_of: NDArray[np.int64], levels: Sequence[str], targets: NDArray[Any], names: list[str]
) -> None:
    classes, counts = np.unique(targets, return_counts=True)
    frequent = classes[np.argsort(-counts, kind="stable")][: len(COLOURS) - 1]
    below = np.zeros(len(levels))
    rows = np.maximum(np.bincount(level_of[level_of >= 0], minlength=len(levels)), 1)
    for target, colour in zip(frequent, COLOURS, strict=False):
        of_class = level_of[(targets == target) & (level_of >= 0)]
        shown = names[target][:_LONGEST_CLASS] if target < len(names) else str(target)
        share = np.bincount(of_class, minlength=len(levels)) / rows
        axes.bar(range(len(levels)), share, bottom=below, color=colour, width=0.9, label=shown)
        below += share
    if len(classes) > len(frequent):
        axes.bar(range(len(levels)), 1 - below, bottom=below, color="0.85", width=0.9, label="others")
    axes.set_xticks(range(len(levels)), levels, rotation=45, ha="right", parse_math=False)
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))


def _by_level(values: Sequence[Any]) -> tuple[NDArray[np.int64], list[str]]:
    """Of each row the place of its level, -1 where it is rare, and the names of the most frequent ones."""
    written = np.array([level_name(value) for value in values], object)
    levels, level_of, rows = np.unique(written, return_inverse=True, return_counts=True)
    frequent = np.argsort(-rows, kind="stable")[:_MOST_LEVELS]
    place = np.full(len(levels), -1)
    place[frequent] = np.arange(len(frequent))
    return place[level_of], [levels[level][:_LONGEST_LEVEL] for level in frequent]


def _by_range(values: Sequence[Any], kind: Kind) -> tuple[NDArray[np.int64], list[str]]:
    """The same of ranges that hold as many rows each; a missing value is in none."""
    numbers = as_numbers(values, kind)
    missing = np.isnan(numbers)
    if missing.all():
        return np.full(len(numbers), -1), []
    edges = np.unique(np.quantile(numbers[~missing], np.linspace(0, 1, _BINS + 1)))
    place = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, max(len(edges) - 2, 0))
    starts = edges[: max(len(edges) - 1, 1)]
    shown = [str(date.fromordinal(int(start))) if kind == "date" else _short(start) for start in starts]
    return np.where(missing, -1, place), [f"from {start}" for start in shown]


def _short(number: float, _: object = None) -> str:
    for size, letter in ((1e9, "bn"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= 10 * size or (abs(number) >= size and size > 1e3):
            return f"{number / size:.3g}{letter}"
    return f"{number:.4g}"
