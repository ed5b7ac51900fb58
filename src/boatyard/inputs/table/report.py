"""The data report's part on a table: what each column is, how it goes with the target, and what was left out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from boatyard.config.schema import Data
from boatyard.evaluate.markdown import escape, shorten, table
from boatyard.inputs.samples import spread
from boatyard.inputs.table.cells import Kind
from boatyard.inputs.table.correlations import correlations_section, strongest_pairs
from boatyard.inputs.table.facts import learn_columns
from boatyard.inputs.table.outliers import find_outliers, outliers_section
from boatyard.inputs.table.rows import kinds_of
from boatyard.inputs.table.strength import MOST_ROWS, addends, are_classes, giving_away, strengths
from boatyard.inputs.training_protocol import ROW, SOURCE, TARGET, Problem, RowReport
from boatyard.tasks.protocol import Section, Target

_MOST_LEVELS = 5  # are named
_MOST_PLOTS = 48


@dataclass(frozen=True)
class _Facts:
    """Of one column. `strength`: None where too few rows could tell; `outliers`: of numbers, the rows far out."""

    kind: Kind
    missing_share: float
    values: str
    strength: float | None
    outliers: int | None


def report_rows(data: Data, found: Mapping[str, Any], rows: pa.Table, target: Target, folder: Path) -> RowReport:
    """Draws `columns.png`. Missing values and outliers are those of all training rows, all else is of some of them."""
    kinds = kinds_of(data)
    few = spread(rows, MOST_ROWS)
    columns = {name: few.column(name).to_pylist() for name in kinds}
    targets = few.column(TARGET).to_numpy()
    told = strengths(columns, kinds, targets)
    outliers = {name: find_outliers(_floats(rows, name)) for name, kind in kinds.items() if kind == "number"}
    facts = {
        name: _Facts(
            kind,
            missing_share=rows.column(name).null_count / max(len(rows), 1),
            values=_values(name, kind, columns[name]),
            strength=told.get(name),
            outliers=len(outliers[name].rows) if name in outliers else None,
        )
        for name, kind in kinds.items()
    }
    if not are_classes(targets):
        outliers = {f"{data.target} (the target)": find_outliers(_floats(rows, TARGET)), **outliers}
    sources, numbers = rows.column(SOURCE), rows.column(ROW)
    pairs = strongest_pairs(columns, kinds)
    sections = [
        _columns(facts, found, are_classes(targets)),
        *_left_out(found),
        *correlations_section(pairs),
        *outliers_section(outliers, lambda row: f"{sources[row]}:{numbers[row]}"),
    ]
    if len(few):
        sections.insert(1, _plots(columns, kinds, targets, target.get("labels", []), told, folder))
    in_numbers = {
        "columns": {name: asdict(each) for name, each in facts.items()},
        "correlations": [pair._asdict() for pair in pairs],
        **found,
    }
    warnings = [
        *(Problem("doubt", name, doubt) for name, doubt in found["doubts"].items()),
        *_leaks(told, targets, addends(columns, kinds, targets)),
    ]
    return RowReport(sections, in_numbers, warnings)


def _floats(rows: pa.Table, name: str) -> NDArray[np.float64]:
    """NaN where there is none."""
    floats: NDArray[np.float64] = rows.column(name).to_numpy().astype(np.float64)
    return floats


def _values(name: str, kind: Kind, values: Sequence[Any]) -> str:
    """What a column has in it, in short."""
    (column,) = learn_columns({name: kind}, (), [(value,) for value in values]).columns
    if kind == "category":
        more = len(column.levels) - _MOST_LEVELS
        return ", ".join(column.levels[:_MOST_LEVELS]) + (f" and {more} more" if more > 0 else "")
    if kind == "truth":
        return f"{sum(value is True for value in values) / max(sum(value is not None for value in values), 1):.0%} true"
    return f"{_shown(column.lowest)} to {_shown(column.highest)}"


def _plots(
    columns: Mapping[str, Sequence[Any]],
    kinds: Mapping[str, Kind],
    targets: NDArray[Any],
    names: list[str],
    told: Mapping[str, float],
    folder: Path,
) -> Section:
    from boatyard.inputs.table.plots import columns_png  # most stages draw nothing

    strongest = sorted(kinds, key=lambda name: -told.get(name, 0.0))[:_MOST_PLOTS]
    columns_png(folder / "columns.png", {name: columns[name] for name in strongest}, kinds, targets, names)
    which = f"the {_MOST_PLOTS} strongest of {len(kinds)} columns" if len(kinds) > _MOST_PLOTS else "every column"
    said = f"Training rows, {which}, the strongest first."
    return Section("Columns against the target", [said, "![Columns against the target](columns.png)"])


def _columns(facts: Mapping[str, _Facts], found: Mapping[str, Any], of_classes: bool) -> Section:
    measure = "of what always guessing the most frequent gets wrong" if of_classes else "of the target's variance"
    said = (
        f"*Tells* is the share {measure} that a tree explains from this column alone, on held-out rows. "
        "Look at the strongest: is each known by the time a model is asked?"
    )
    rows = [
        (
            shorten(name),
            each.kind,
            f"{each.missing_share:.1%}",
            "n/a" if each.strength is None else f"{each.strength:.3f}",
            each.values,
            "" if each.outliers is None else f"{each.outliers:,}",
        )
        for name, each in sorted(facts.items(), key=lambda item: -(item[1].strength or 0.0))
    ]
    header = ("Column", "Kind", "Missing", "Tells", "Values", "Outliers")
    words = [
        f"{escape(shorten(name))}: " + ", ".join(f"{word!r} {count:,}" for word, count in counts.items())
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
    rows = [(shorten(name), reason) for name, reason in found["left_out"].items()]
    said = "To read a column anyway, set `data.columns={NAME: KIND}`."
    return [Section("Columns that are left out", [table(("Column", "It..."), rows), said])]


def _leaks(told: Mapping[str, float], targets: NDArray[Any], summed: Sequence[str]) -> Iterator[Problem]:
    given_away = giving_away(told, targets)
    for name in given_away:
        message = f"predicts the target almost exactly ({told[name]:.3f} of 1): is it known beforehand?"
        yield Problem("leak", name, message)
    if summed and not {*summed} & {*given_away}:
        others = " and ".join(map(repr, summed[1:]))
        yield Problem("leak", summed[0], f"adds up to the target with {others}: are they known beforehand?")


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
