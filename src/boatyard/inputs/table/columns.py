"""The columns of a table, and rows of them as the two arrays that a graph reads."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from boatyard.inputs.protocol import Feeds
from boatyard.inputs.table.cells import KINDS, Kind, Value, day_of

FILE = "columns.json"
NUMBERS, CATEGORIES = "numbers", "categories"
"""The graph's inputs."""
LEAST_ROWS = 5
"""A category that fewer training rows have is read as an unknown one."""

Row = Sequence[Value]
_PARTS: Mapping[Kind, tuple[str, ...]] = {
    "number": ("",),
    "date": (" (year)", " (month)", " (day)"),
    "truth": ("",),
    "category": (),
}
_NAN = float("nan")
_EPOCH = day_of("1970-01-01").toordinal()


@dataclass(frozen=True)
class Column:
    """A column and what training rows have in it.

    `levels`: of a category, those that LEAST_ROWS have, sorted. `lowest`, `highest`: of a number or a date; None where
    no row has one.
    """

    name: str
    kind: Kind
    levels: tuple[str, ...] = ()
    lowest: float | str | None = None
    highest: float | str | None = None
    always: bool = False
    """Whether each training row has a value."""

    @cached_property
    def codes(self) -> Mapping[Value, int]:
        """Of the levels, from 1 on."""
        return {level: code for code, level in enumerate(self.levels, 1)}


@dataclass(frozen=True)
class Columns:
    """All columns of a table that are used, in the order of a row. `missing`: the words that mean a missing value."""

    columns: tuple[Column, ...]
    missing: tuple[str, ...] = field(default=())

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def by_name(self) -> Mapping[str, Column]:
        """The columns."""
        return dict(zip(self.names, self.columns, strict=True))

    @cached_property
    def number_names(self) -> list[str]:
        """What each of the `numbers` is, such as "sold (year)"."""
        return [f"{column.name}{part}" for column in self.columns for part in _PARTS[column.kind]]

    @cached_property
    def category_owners(self) -> list[int]:
        """Of each of the `categories`, the place of its column."""
        return [place for place, column in enumerate(self.columns) if column.kind == "category"]

    @cached_property
    def cardinalities(self) -> list[int]:
        """Of each of the `categories`, how many codes there are, 0 included."""
        return [len(self.columns[place].levels) + 1 for place in self.category_owners]

    def arrays(self, row: Row) -> Feeds:
        """`numbers`: a number as it is, a date as year, month and days since 1970, a truth value as 0 or 1.

        What is missing is NaN. `categories`: the codes, 0 where one is missing, unknown or too rare to have one.
        """
        numbers: list[float] = []
        categories: list[int] = []
        for column, value in zip(self.columns, row, strict=True):
            if column.kind == "category":
                categories.append(column.codes.get(value, 0))
            else:
                numbers += _numbers(column.kind, value)
        return {NUMBERS: np.array(numbers, np.float64), CATEGORIES: np.array(categories, np.int64)}

    def write(self, folder: Path) -> None:
        """As `columns.json`."""
        content = json.dumps(asdict(self), indent=1, ensure_ascii=False, allow_nan=False)
        (folder / FILE).write_text(content + "\n", encoding="utf-8")


def read_columns(folder: Path) -> Columns:
    """What was written there. Raises ValueError, which says what is wrong."""
    content: Any = json.loads((folder / FILE).read_text(encoding="utf-8"))
    try:
        columns = tuple(Column(**each | {"levels": tuple(each["levels"])}) for each in content["columns"])
        missing = tuple(content["missing"])
    except (TypeError, KeyError) as wrong:
        raise ValueError(f"it does not describe columns: {wrong!r}") from None
    if unknown := {column.kind for column in columns} - set(KINDS):
        raise ValueError(f"it has columns of the kind {', '.join(sorted(unknown))}: there are {', '.join(KINDS)}")
    return Columns(columns, missing)


def _numbers(kind: Kind, value: Value) -> Iterator[float]:
    if value is None:
        yield from (_NAN for _ in _PARTS[kind])
    elif kind == "date":
        day = day_of(str(value))
        yield from (float(day.year), float(day.month), float(day.toordinal() - _EPOCH))
    else:
        yield float(value)
