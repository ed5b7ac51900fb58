"""Rows of a table out of a source's cells."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from boatyard.config.errors import UserError
from boatyard.config.schema import Data
from boatyard.inputs.defaults import (  # noqa: F401 - for `training`
    COST_UNIT,
    canvas,
    content_key,
    digest_of_start,
    group_key,
    limits,
    open_variation,
    relatives,
    request,
    unservable,
)
from boatyard.inputs.sources import open_tables
from boatyard.inputs.table.cells import Kind, Value, WrongCell, read_cell
from boatyard.inputs.table.columns import Row
from boatyard.inputs.table.kinds import find_kinds
from boatyard.inputs.texts import normal_form
from boatyard.inputs.training_protocol import OWN, Problem, RowFormat, Source

REPEATS = "warning"
SIZE_UNIT = "values"

_ARROW: Mapping[Kind, Callable[[], pa.DataType]] = {
    "number": pa.float64,
    "category": pa.string,
    "date": pa.string,
    "truth": pa.bool_,
}


def open_sources(data: Data, columns: Sequence[str], cache: Path) -> list[Source]:
    """With all their columns: which are read is found by a look at them."""
    return open_tables(data, columns, cache, "data.columns and data.target", others=True)


def settle(data: Any, sources: Sequence[Source], others: Sequence[str]) -> tuple[Data, Mapping[str, Any]]:
    """With the kind of each column that is read; and why others are not, which are in doubt, and which words meant a
    missing value."""
    given, drop = kinds_of(data), {normal_form(name) for name in data.drop}
    for key, names in (("columns", given.keys()), ("drop", drop)):
        for name in others:
            if name in names:
                raise UserError(f"data.{key}: {name!r} is the target, or splits the rows: it is no column of the input")
    found = find_kinds(sources, given, {*others, *drop}, missing_words(data))
    if not found.names:
        raise UserError(f"{sources[0].name}: there is no row to learn from")
    if unknown := sorted(drop - found.names):
        there_are = ", ".join(map(repr, sorted(found.names)))
        raise UserError(f"data.drop: there is no column {unknown[0]!r}; there are {there_are}")
    if reserved := [name for name in given if name.startswith(OWN)]:
        raise UserError(f"data.columns: {reserved[0]!r} is boatyard's own name; rename the column")
    if not found.kinds:
        reasons = "; ".join(f"{name!r} {reason}" for name, reason in found.left_out.items())
        raise UserError(f"{sources[0].name}: no column is left to learn from{f': {reasons}' if reasons else ''}")
    facts = {
        "doubts": found.doubts,
        "left_out": found.left_out | dict.fromkeys(sorted(drop), "is in data.drop"),
        "missing": {name: dict(found.missing[name]) for name in found.kinds if found.missing[name]},
    }
    return data.model_copy(update={"columns": found.kinds, "drop": []}), facts


def row_format(data: Any) -> RowFormat:
    """Of the columns in `data.columns`, which are all once that is settled. Some value of a row must be there."""
    kinds, missing = kinds_of(data), missing_words(data)

    def read(cells: Mapping[str, Any]) -> tuple[Value, ...] | Problem:
        row: list[Value] = []
        for name, kind in kinds.items():
            try:
                row.append(read_cell(cells.get(name), kind, missing))
            except WrongCell as wrong:
                ways = "data.missing can name words that mean nothing is there, and data.columns what the column is"
                return Problem("wrong_kind", name, f"{wrong} ({ways})")
        if all(value is None for value in row):
            return Problem("empty", None, "has no value in any column")
        return tuple(row)

    stored = {"columns": kinds, "drop": [], "missing": list(data.missing)}
    return RowFormat({name: _ARROW[kind]() for name, kind in kinds.items()}, read, list(kinds), stored)


def kinds_of(data: Any) -> dict[str, Kind]:
    """`data.columns`, by name in normal form."""
    return {normal_form(name): kind for name, kind in data.columns.items()}


def missing_words(data: Any) -> list[str]:
    """`data.missing` as cells are compared with it."""
    return sorted({normal_form(word).casefold() for word in data.missing})


def size(row: Row) -> int:
    """How many values are there."""
    return sum(value is not None for value in row)


def show(row: Row) -> str:
    """The values on one line, each in its place: what is missing is a dash."""
    return " | ".join(map(_shown, row))


def _shown(value: Value) -> str:
    if value is None:
        return "-"
    return f"{value:.15g}" if isinstance(value, float) else str(value)
