"""The picture of a data report on numbers, as a PNG file."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from boatyard.data.plots import COLOURS


def targets_png(path: Path, targets: Mapping[str, NDArray[np.float64]], unit: str | None) -> None:
    """Draw how the numbers of each split are distributed, as shares of the split."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.add_subplot()
    everything = np.concatenate(list(targets.values()))
    edges = np.histogram_bin_edges(everything, 40) if len(everything) else np.linspace(0, 1, 2)
    for (split, values), colour in zip(targets.items(), COLOURS, strict=False):
        if len(values):
            shares = np.histogram(values, edges)[0] / len(values)
            axes.stairs(shares, edges, color=colour, linewidth=1.8, label=f"{split} ({len(values):,} rows)")
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.set_xlabel(f"target, {unit}" if unit else "target", parse_math=False)
    axes.set_ylabel("share of the split's rows")
    axes.spines[["top", "right"]].set_visible(False)
    if len(everything):
        axes.legend(frameon=False)
    figure.savefig(path, dpi=100, format="png")
