"""The plots of a data report, as PNG files drawn without pyplot's global state."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

COLOURS = ("#08519c", "#e6892f", "#7fb069", "#9b5de5", "#555555")  # apart for colour-blind eyes too


def sizes_png(path: Path, sizes: Mapping[str, Sequence[int] | NDArray[np.integer[Any]]], unit: str) -> None:
    """Draw how large the rows of each split are, as shares of the split, so that small splits compare.

    The axis is logarithmic once the largest row is ten times the median.
    """
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.add_subplot()
    splits = {split: np.asarray(values) for split, values in sizes.items() if len(values)}
    if splits:
        everything = np.concatenate(list(splits.values()))
        largest = int(everything.max())
        logarithmic = largest > 10 * max(float(np.median(everything)), 1.0)
        smallest = int(everything.min())
        if logarithmic:
            steps = np.unique(np.geomspace(max(smallest, 1), largest + 1, 30).round())
        else:
            width = -(-(largest + 1 - smallest) // 50)
            steps = np.arange(smallest, largest + 1 + width, width, dtype=np.float64)
        # sizes are whole numbers: edges half way between them leave no bin without a number
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
    axes.set(xlabel=f"size in {unit} (dotted: the median)", ylabel="share of the split's rows")
    figure.savefig(path, dpi=100, format="png")
