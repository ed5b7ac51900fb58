"""The picture of a data report on labels, as a PNG file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from boatyard.data.plots import COLOURS
from boatyard.evaluate.markdown import shorten

MOST_BARS = 120  # more make a picture that no screen shows
LONGEST_LABEL = 48


def labels_png(path: Path, labels: Sequence[str], counts: Mapping[str, NDArray[np.int64]]) -> None:
    """Draw a bar for each label, most rows first, stacked by split; `counts[split]` is aligned with `labels`.

    Of more than 120 labels, the largest 60 and the smallest 60 are drawn.
    """
    rows = np.array([*counts.values()], np.int64).reshape(len(counts), len(labels))
    totals = rows.sum(axis=0)
    drawn = np.argsort(-totals, kind="stable")
    title = "Rows of each label"
    if len(labels) > MOST_BARS:
        half = MOST_BARS // 2
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
