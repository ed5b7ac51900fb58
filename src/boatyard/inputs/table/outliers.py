"""Rows whose number is far from all others': often a wrong unit or a slip of the keyboard."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from boatyard.evaluate.markdown import shorten, table
from boatyard.tasks.protocol import Section

FAR = 3
"""Quartile distances beyond the quartiles: what Tukey calls far out (Exploratory Data Analysis, 1977)."""
_LISTED = 3  # of each column
_MOST_COLUMNS = 20


@dataclass(frozen=True)
class Outliers:
    """Of one column: `rows` by their numbers, the furthest first, and their `values`."""

    rows: NDArray[np.int64]
    values: NDArray[np.float64]


def find_outliers(values: NDArray[np.float64]) -> Outliers:
    """NaN is missing. None where half of the rows or more have the same number: any other would be far from it."""
    there = values[~np.isnan(values)]
    low, high = np.quantile(there, [0.25, 0.75]) if len(there) else (0.0, 0.0)
    reach = FAR * (high - low)
    beyond = np.maximum(low - reach - values, values - high - reach)
    rows = np.flatnonzero(beyond > 0) if reach > 0 else np.zeros(0, np.int64)
    furthest = rows[np.argsort(-beyond[rows], kind="stable")]
    return Outliers(furthest, values[furthest])


def outliers_section(found: Mapping[str, Outliers], place_of: Callable[[int], str]) -> list[Section]:
    """How many each column has, and where the furthest are; nothing where there are none.

    `place_of`: a row's, as file:row.
    """
    columns = sorted((name for name in found if len(found[name].rows)), key=lambda name: -len(found[name].rows))
    if not columns:
        return []
    said = (
        f"Numbers more than {FAR} quartile distances below the lower quartile or above the upper one; the furthest "
        f"{_LISTED} of each column. They are trained on as they are: correct them at the source if they are wrong."
    )
    parts = [said, table(("Column", "Rows", "Value", "Row"), _lines(columns[:_MOST_COLUMNS], found, place_of), "lrrl")]
    if (more := len(columns) - _MOST_COLUMNS) > 0:
        parts.append(f"{more:,} more columns have some.")
    return [Section("Outliers", parts)]


def _lines(
    columns: list[str], found: Mapping[str, Outliers], place_of: Callable[[int], str]
) -> Iterator[tuple[str, ...]]:
    for name in columns:
        of_column = found[name]
        listed = zip(of_column.rows[:_LISTED].tolist(), of_column.values[:_LISTED].tolist(), strict=True)
        for rank, (row, value) in enumerate(listed):
            first = (shorten(name), f"{len(of_column.rows):,}") if rank == 0 else ("", "")
            yield (*first, f"{value:,.15g}", place_of(row))
