"""The data report's part on a table: what each column is, how it goes with the target, and what was left out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from boatyard.config.schema import Data
from boatyard.evaluate.markdown import escape, shorten, table
from boatyard.inputs.protocol import TARGET, Problem, RowReport
from boatyard.inputs.table.cells import Kind
from boatyard.inputs.table.facts import learn_columns
from boatyard.inputs.table.rows import kinds_of
from boatyard.inputs.table.strength import (
    MOST_ROWS,
    addends,
    are_classes,
    as_numbers,
    correlation,
    giving_away,
    strengths,
)
from boatyard.tasks.protocol import Section

_MOST_LEVELS = 5  # are named
_MOST_PLOTS = 12
_ALIKE = 0.95  # correlation from which on two columns say the same
_FEWEST_ROWS = 3  # that a correlation takes
_FAR = 3  # quartile distances beyond the quartiles, as Tukey has it
_LONGEST_NAME = 60


@dataclass(frozen=True)
class _Facts:
    """Of one column. `strength`: None where there are too few rows to tell; `outliers`: rows far from the others."""

    kind: Kind
    missing_share: float
    values: str
    strength: float | None
    outliers: int | None


def report_rows(data: Data, found: Mapping[str, Any], rows: pa.Table, folder: Path) -> RowReport:
    """Draws `columns.png`. Missing values are those of all training rows, all else is of some of them."""
    kinds = kinds_of(data)
    few = rows.take(np.unique(np.linspace(0, max(len(rows) - 1, 0), MOST_ROWS).astype(int))) if len(rows) else rows
    columns = {name: few.column(name).to_pylist() for name in kinds}
    targets = few.column(TARGET).to_numpy()
    told = strengths(columns, kinds, targets)
    facts = {
        name: _facts(name, kind, columns[name], rows.column(name).null_count / max(len(rows), 1), told.get(name))
        for name, kind in kinds.items()
    }
    sections = [_columns(facts, found, are_classes(targets)), *_left_out(found), *_alike(columns, kinds)]
    if len(few):
        from boatyard.inputs.table.plots import columns_png  # most stages draw nothing

        strongest = sorted(kinds, key=lambda name: -told.get(name, 0.0))[:_MOST_PLOTS]
        columns_png(folder / "columns.png", {name: columns[name] for name in strongest}, kinds, targets)
        sections[0] = Section(sections[0].heading, [*sections[0].parts, "![Columns against the target](columns.png)"])
    in_numbers = {"columns": {name: asdict(each) for name, each in facts.items()}, **found}
    warnings = [
        *(Problem("doubt", name, doubt) for name, doubt in found["doubts"].items()),
        *_leaks(told, targets, addends(columns, kinds, targets)),
    ]
    return RowReport(sections, in_numbers, warnings)


def _facts(name: str, kind: Kind, values: Sequence[Any], missing_share: float, strength: float | None) -> _Facts:
    (column,) = learn_columns({name: kind}, (), [(value,) for value in values]).columns
    if kind == "category":
        more = len(column.levels) - _MOST_LEVELS
        named = ", ".join(column.levels[:_MOST_LEVELS]) + (f" and {more} more" if more > 0 else "")
        return _Facts(kind, missing_share, named, strength, None)
    if kind == "truth":
        share = sum(value is True for value in values) / max(sum(value is not None for value in values), 1)
        return _Facts(kind, missing_share, f"{share:.0%} true", strength, None)
    outliers = _outliers(as_numbers(values, kind)) if kind == "number" else None
    return _Facts(kind, missing_share, f"{_shown(column.lowest)} to {_shown(column.highest)}", strength, outliers)


def _outliers(values: np.ndarray[Any, np.dtype[np.float64]]) -> int:
    values = values[~np.isnan(values)]
    if not len(values):
        return 0
    low, high = np.quantile(values, [0.25, 0.75])
    reach = _FAR * (high - low)
    return int(((values < low - reach) | (values > high + reach)).sum()) if reach > 0 else 0


def _columns(facts: Mapping[str, _Facts], found: Mapping[str, Any], of_classes: bool) -> Section:
    measure = "of what always guessing the most frequent gets wrong" if of_classes else "of the target's variance"
    said = (
        f"*Tells* is the share {measure} that a tree explains which sees this column alone, on rows that it was not "
        "fitted on. Look at the strongest: is each known by the time a model is asked?"
    )
    rows = [
        (
            shorten(name, _LONGEST_NAME),
            each.kind,
            f"{each.missing_share:.1%}",
            "n/a" if each.strength is None else f"{each.strength:.3f}",
            each.values,
            "" if each.outliers is None else f"{each.outliers:,}",
        )
        for name, each in sorted(facts.items(), key=lambda item: -(item[1].strength or 0.0))
    ]
    header = ("Column", "Kind", "Missing", "Tells", "Values", f"Beyond {_FAR} quartile distances")
    words = [
        f"{escape(shorten(name, _LONGEST_NAME))}: " + ", ".join(f"{word!r} {count:,}" for word, count in counts.items())
        for name, counts in found["missing"].items()
        if any(counts)
    ]
    parts = [said, table(header, rows, align="llrrlr")]
    if words:
        parts.append(f"Words that were read as missing values (`data.missing` says which): {'; '.join(words)}.")
    return Section("Columns", parts)


def _left_out(found: Mapping[str, Any]) -> list[Section]:
    if not found["left_out"]:
        return []
    rows = [(shorten(name, _LONGEST_NAME), reason) for name, reason in found["left_out"].items()]
    said = "`data.columns={NAME: KIND}` has a column read all the same."
    return [Section("Columns that are left out", [table(("Column", "It..."), rows), said])]


def _alike(columns: Mapping[str, Sequence[Any]], kinds: Mapping[str, Kind]) -> list[Section]:
    """Pairs of number columns that say nearly the same."""
    numbers = {name: as_numbers(columns[name], kind) for name, kind in kinds.items() if kind in ("number", "date")}
    pairs = []
    for (one, first), (other, second) in combinations(numbers.items(), 2):
        together = correlation(first, second, _FEWEST_ROWS)
        if abs(together) > _ALIKE:
            pairs.append((one, other, f"{together:.3f}"))
    pairs.sort(key=lambda pair: -abs(float(pair[2])))
    return (
        [Section("Columns that say the same", [table(("Column", "and", "Correlation"), pairs, "llr")])] if pairs else []
    )


def _leaks(told: Mapping[str, float], targets: np.ndarray[Any, Any], summed: Sequence[str]) -> Iterator[Problem]:
    given_away = giving_away(told, targets)
    for name in given_away:
        message = f"tells the target nearly exactly ({told[name]:.3f} of 1): is it known beforehand?"
        yield Problem("leak", name, message)
    if summed and not {*summed} & {*given_away}:
        others = " and ".join(map(repr, summed[1:]))
        yield Problem("leak", summed[0], f"adds up to the target with {others}: are they known beforehand?")


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
