"""Some rows of one source, each by itself: taken out of their cells, hashed, or set aside with the reason.

Nothing here depends on other rows, so that several processes can do it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from boatyard import inputs, tasks
from boatyard.config.owned import config_type
from boatyard.config.schema import Data
from boatyard.data.ledger import Ledger, content_hash
from boatyard.data.summary import Issue
from boatyard.data.validate import check_date, check_split
from boatyard.inputs.records import is_missing
from boatyard.inputs.texts import normal_form
from boatyard.inputs.training_protocol import EXTENT, Problem, SourceRow

Rows = tuple[int, int, Sequence[SourceRow]]
"""The number of their source, the split that it says, or else -1, and the rows."""


@dataclass
class Piece:
    """What was read of some rows.

    `values`: of those that can be used, with their lines in the `ledger`, `targets`, and `extents` where the row format
    says them. `embedded`: by line of the ledger, the cells of lines inside a row that would be rows by themselves.
    `issues`: all that is wrong. `set_aside`: the other rows, as a person reads them.
    """

    ledger: Ledger
    values: pa.RecordBatch | None = None
    targets: list[Any] = field(default_factory=list)
    extents: list[tuple[int, ...]] = field(default_factory=list)
    embedded: dict[int, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)
    set_aside: list[list[Any]] = field(default_factory=list)


def reader(data: Mapping[str, Any], sources: Sequence[str]) -> Callable[[Rows], Piece]:
    """For rows of these sources. `data`: the section's values, as its class, made for its input and task, is no pickle.

    Raises UserError where they name a column wrongly.
    """
    section = config_type(data["input"], data["task"]).model_fields["data"].annotation
    return _Reader(section(**data), sources).read  # type: ignore[misc]  # a class, and not None


class _Reader:
    def __init__(self, data: Data, sources: Sequence[str]) -> None:
        self._input = inputs.training(data.input)
        self._format = self._input.row_format(data)
        self._schema = pa.schema(list(self._format.fields.items()))
        self._targets = tasks.training(data.task).open_targets(data)
        self._sources = sources
        self._split_column, self._date_column, self._group_column = (
            normal_form(name) if name else None for name in (data.split_column, data.split_by_date, data.group_column)
        )

    def read(self, rows: Rows) -> Piece:
        source, split, each = rows
        piece, kept = Piece(Ledger(self._sources)), []
        for row in each:
            values = self._take(source, split, row, piece)
            if isinstance(values, Problem):
                self._set_aside(row.file or self._sources[source], row, values, piece)
            else:
                kept.append(values)
        if kept:
            columns = zip(self._schema, zip(*kept, strict=True), strict=True)
            arrays = [pa.array(values, column.type) for column, values in columns]
            piece.values = pa.record_batch(arrays, self._schema)
        return piece

    def _take(self, source: int, split: int, row: SourceRow, piece: Piece) -> tuple[Any, ...] | Problem:
        """The row's values, once it is in the ledger; or why it cannot be."""
        if row.wrong is not None:
            return Problem("malformed", None, row.wrong)
        values = self._format.read(row.cells)
        if isinstance(values, Problem):
            return values
        extent = self._format.extent(values) if self._format.extent else None
        target = self._targets.read(row.cells if extent is None else {**row.cells, EXTENT: extent})
        if isinstance(target, Problem):
            return target
        if self._split_column is not None:
            named = check_split(row.cells.get(self._split_column), self._split_column)
            if isinstance(named, Problem):
                return named
            split = named
        draw = self._draw(row.cells)
        if isinstance(draw, Problem):
            return draw
        place = row.file or self._sources[source], row.number
        if draw is None and self._group_column is not None:
            message = "has no value, so that this row is in no group and may be on either side of the split"
            piece.issues.append(Issue("warning", "no_group", message, *place, self._group_column))
        if reason := self._input.unservable(values):
            message = f"{reason}: it is trained on, and could not be asked"
            piece.issues.append(Issue("warning", "unservable", message, *place, None))
        if row.embedded:
            piece.embedded[len(piece.ledger)] = row.embedded
        exact, group = content_hash(self._input.content_key(values)), content_hash(self._input.group_key(values))
        piece.ledger.add(source, row.number, split, self._input.size(values), exact, group, draw, row.file)
        piece.targets.append(target)
        if extent is not None:
            piece.extents.append(extent)
        return values

    def _draw(self, cells: Mapping[str, Any]) -> int | Problem | None:
        """See `Ledger`. None where the row itself decides."""
        if self._date_column is not None:
            return check_date(cells.get(self._date_column), self._date_column)
        if self._group_column is not None:
            shared = _group(cells.get(self._group_column))
            return content_hash(shared.encode("utf-8", "surrogatepass")) if shared else None
        return None

    def _set_aside(self, source: str, row: SourceRow, problem: Problem, piece: Piece) -> None:
        piece.issues.append(Issue("error", problem.kind, problem.message, source, row.number, problem.column))
        why = f"{problem.column} {problem.message}" if problem.column else problem.message
        columns = [*self._format.columns, self._targets.column]
        cells = [row.cells.get(column, "") for column in columns] if row.wrong is None else [row.text]
        piece.set_aside.append([source, row.number, why, *cells, *[""] * (len(columns) - len(cells))])


def _group(value: object) -> str:
    """The name of the group, written out as a label is; empty where there is none."""
    return "" if is_missing(value) else normal_form(str(value))
