"""Columns that go together."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from boatyard.evaluate.markdown import shorten, table
from boatyard.inputs.table.cells import Kind
from boatyard.inputs.table.strength import as_numbers, correlation
from boatyard.tasks.protocol import Section

_LISTED = 15
_WEAK = 0.3  # below it a pair is not worth a line
_ALIKE = 0.95  # from here on two columns say the same
_FEWEST_ROWS = 3  # that a correlation takes


class Pair(NamedTuple):
    """Two columns, and Pearson's correlation of the rows that have both."""

    one: str
    other: str
    correlation: float


def strongest_pairs(columns: Mapping[str, Sequence[Any]], kinds: Mapping[str, Kind]) -> list[Pair]:
    """Of columns that are no categories, the strongest first; weak ones are left out."""
    numbers = {name: as_numbers(columns[name], kind) for name, kind in kinds.items() if kind != "category"}
    pairs = [
        Pair(one, other, correlation(first, second, _FEWEST_ROWS))
        for (one, first), (other, second) in combinations(numbers.items(), 2)
    ]
    return sorted((pair for pair in pairs if abs(pair.correlation) >= _WEAK), key=lambda pair: -abs(pair.correlation))


def correlations_section(pairs: Sequence[Pair]) -> list[Section]:
    """The strongest of them, and all that say the same."""
    if not pairs:
        return []
    alike = sum(abs(pair.correlation) > _ALIKE for pair in pairs)
    listed = pairs[: max(_LISTED, alike)]
    said = (
        f"Pearson's, of numbers, dates and truth values. Beyond {_ALIKE} either column says nearly what the other does."
    )
    rows = [(shorten(one), shorten(other), f"{together:+.3f}") for one, other, together in listed]
    parts = [said, table(("Column", "and", "Correlation"), rows, "llr")]
    if (more := len(pairs) - len(listed)) > 0:
        parts.append(f"{more:,} more pairs are at {_WEAK} or stronger.")
    return [Section("Correlations", parts)]
