"""The data report's part on numbers: how they are distributed."""

from pathlib import Path
from typing import Any

import numpy as np

from boatyard.data.summary import DataSummary
from boatyard.evaluate.markdown import table
from boatyard.tasks.protocol import Section
from boatyard.tasks.score import shown

_POINTS = (0, 5, 50, 95, 100)


def data_facts(summary: DataSummary) -> dict[str, Any]:
    """`targets`: by split, percentiles of the numbers; None where there is no row."""
    return {
        "targets": {
            split: dict(zip((f"p{point}" for point in _POINTS), np.percentile(values, _POINTS).tolist(), strict=True))
            if len(values)
            else None
            for split, values in summary.targets.items()
        }
    }


def data_section(summary: DataSummary, folder: Path) -> list[Section]:
    """Draws `targets.png`."""
    from boatyard.tasks.regression.data_plots import targets_png  # most stages draw nothing

    unit = summary.target["unit"]
    targets_png(folder / "targets.png", summary.targets, unit)
    facts = data_facts(summary)["targets"]
    rows = [
        (split, *(map(shown, points.values()) if points else ["n/a"] * len(_POINTS))) for split, points in facts.items()
    ]
    header = (f"In {unit}" if unit else "", "Lowest", "5% up to", "Half up to", "95% up to", "Highest")
    return [Section("Targets", [table(header, rows, align="lrrrrr"), "![Distribution of the targets](targets.png)"])]
