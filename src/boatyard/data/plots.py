"""The plots of a data report, as PNG files drawn without pyplot's global state."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from boatyard.evaluate.markdown import shorten

MOST_LABELS = 120  # more make a picture that no screen shows
LONGEST_LABEL = 48
COLOURS = ("#08519c", "#e6892f", "#7fb069", "#9b5de5", "#555555")  # apart for colour-blind eyes too


def labels_png(path: Path, labels: Sequence[str], counts: Mapping[str, Sequence[int]]) -> None:
    """Draw a bar for each label, most rows first, stacked by split; `counts[split]` is aligned with `labels`.

    Of more than 120 labels, the largest 60 and the smallest 60 are drawn.
    """
    rows = np.array([*counts.values()], np.int64).reshape(len(counts), len(labels))
    totals = rows.sum(axis=0)
    drawn = np.argsort(-totals, kind="stable")
    title = "Rows of each label"
    if len(labels) > MOST_LABELS:
        half = MOST_LABELS // 2
        drawn = np.r_[drawn[:half], drawn[-half:]]
        title += f": the {half} largest and the {half} smallest of {len(labels)}"
    figure = Figure(figsize=(10, 1.7 + 0.22 * len(drawn)), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(drawn))
    left = np.zeros(len(drawn), np.int64)
    for index, (split, row) in enumerate(zip(counts, rows[:, drawn], strict=True)):
        bars = axes.barh(places, row, left=left, height=0.8, color=COLOURS[index % len(COLOURS)], label=split)
        left += row
    if drawn.size:
        axes.bar_label(bars, [f"{total:,}" for total in totals[drawn]], fontsize=8, padding=3)
        figure.legend(loc="outside upper right", ncols=len(rows), frameon=False)
    # a label is data: a dollar sign in it is not the start of a formula
    axes.set_yticks(places, [shorten(labels[i], LONGEST_LABEL) for i in drawn], fontsize=9, parse_math=False)
    axes.invert_yaxis()
    axes.margins(x=0.08, y=0.01 if len(drawn) > 10 else 0.05)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set(xlabel="rows", title=title)
    figure.savefig(path, dpi=100, format="png")


def lengths_png(path: Path, lengths: Mapping[str, Sequence[int] | NDArray[np.integer[Any]]], unit: str) -> None:
    """Draw how long the rows of each split are, as shares of the split, so that small splits compare.

    The axis is logarithmic once the longest row is ten times the median.
    """
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.add_subplot()
    splits = {split: np.asarray(values) for split, values in lengths.items() if len(values)}
    if splits:
        everything = np.concatenate(list(splits.values()))
        longest = int(everything.max())
        logarithmic = longest > 10 * max(float(np.median(everything)), 1.0)
        shortest = int(everything.min())
        if logarithmic:
            steps = np.unique(np.geomspace(max(shortest, 1), longest + 1, 30).round())
        else:
            width = -(-(longest + 1 - shortest) // 50)
            steps = np.arange(shortest, longest + 1 + width, width, dtype=np.float64)
        # lengths are whole numbers: edges half way between them leave no bin without a number
        edges = steps - 0.5
        for index, (split, values) in enumerate(splits.items()):
            shares = np.histogram(np.clip(values, edges[0], None), edges)[0] / len(values)
            colour = COLOURS[index % len(COLOURS)]
            axes.stairs(shares, edges, color=colour, linewidth=1.8, label=f"{split} ({len(values):,} rows)")
            axes.axvline(float(np.median(values)), color=colour, linestyle=":", linewidth=1)
        if logarithmic:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.legend(frameon=False)
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.spines[["top", "right"]].set_visible(False)
    axes.set(xlabel=f"length in {unit} (dotted: the median)", ylabel="share of the split's rows")
    figure.savefig(path, dpi=100, format="png")
