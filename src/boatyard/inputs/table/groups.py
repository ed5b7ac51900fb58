"""Which rows of a table are measured by themselves: those of a level."""

from collections.abc import Sequence

import numpy as np

from boatyard.config.schema import Data
from boatyard.inputs.table.columns import Row
from boatyard.inputs.table.rows import kinds_of
from boatyard.inputs.training_protocol import Group

_LARGEST = 3
_MOST_COLUMNS = 6
_FEWEST_ROWS = 30  # of a level: below them a figure is chance


def groups(data: Data, rows: Sequence[Row]) -> list[Group]:
    """Of each column of categories or truth values the three largest levels, a missing value being one.

    Of many columns those that divide the rows best, whose second largest level has the most: neither one that is nearly
    always the same, nor one whose levels have few rows each.
    """
    kinds = kinds_of(data)
    columns = {
        name: _largest(name, [row[place] for row in rows])
        for place, (name, kind) in enumerate(kinds.items())
        if kind in ("category", "truth")
    }
    dividing = [name for name, levels in columns.items() if len(levels) > 1]
    chosen = sorted(dividing, key=lambda name: -len(columns[name][1].rows))[:_MOST_COLUMNS]
    return [level for name in dividing if name in chosen for level in columns[name]]


def _largest(column: str, values: Sequence[object]) -> list[Group]:
    names = np.array([level_name(value) for value in values], object)
    levels, level_of, counts = np.unique(names, return_inverse=True, return_counts=True)
    largest = np.argsort(-counts, kind="stable")[:_LARGEST]
    return [
        Group(column, levels[level], np.flatnonzero(level_of == level))
        for level in largest
        if counts[level] >= _FEWEST_ROWS
    ]


def level_name(value: object) -> str:
    """As a report says it, a missing one included."""
    if value is None:
        return "missing"
    return str(value).lower() if isinstance(value, bool) else str(value)
