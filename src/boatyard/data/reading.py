"""Rows from their sources into one Arrow file and the ledger; those that cannot be read are set aside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from tqdm import tqdm

from boatyard import inputs, tasks
from boatyard.config.schema import Data
from boatyard.data.arrow import Writer
from boatyard.data.ledger import Findings, Ledger, content_hash
from boatyard.data.summary import Issue
from boatyard.data.validate import check_date, check_split
from boatyard.inputs.sources import SPLITS
from boatyard.inputs.texts import normal_form
from boatyard.inputs.training_protocol import EXTENT, Problem, Source, SourceRow
from boatyard.tasks.protocol import Targets

_BATCH, _BATCH_BYTES = 10_000, 2**26  # rows, and what of them is binary, held in memory at once


@dataclass
class Reading:
    """The readable rows of all sources: their places and hashes, their targets, and what is wrong with the others."""

    data: Data
    sources: Sequence[str]
    findings: Findings = field(default_factory=Findings)
    embedded: dict[int, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """By line of the ledger, the cells of lines inside a row that would be rows by themselves."""
    extents: list[tuple[int, ...]] = field(default_factory=list)
    """Of each line of the ledger, where the row format says them."""

    def __post_init__(self) -> None:
        self.input = inputs.training(self.data.input)
        self.format = self.input.row_format(self.data)
        self.schema = pa.schema(list(self.format.fields.items()))
        self.fields: list[str] = self.schema.names
        self.ledger = Ledger(self.sources)
        self.targets: Targets = tasks.training(self.data.task).open_targets(self.data)
        self._split_column = normal_form(self.data.split_column) if self.data.split_column else None

    def read(self, sources: Sequence[Source], file: Path, set_aside: Writer) -> None:
        """Stream every source: readable rows go to `file` and the ledger, the others are set aside."""
        batch: list[tuple[Any, ...]] = []
        held = 0
        with pa.ipc.new_stream(file, self.schema) as stream:

            def flush() -> None:
                columns = zip(self.schema, zip(*batch, strict=True), strict=True)
                stream.write_batch(
                    pa.record_batch([pa.array(values, column.type) for column, values in columns], self.schema)
                )
                batch.clear()

            for number, source in enumerate(sources):
                split = -1 if source.split is None else SPLITS.index(source.split)
                for row in tqdm(source.rows(), f"reading {source.name}", unit=" rows", leave=False, disable=None):
                    values = self._keep(number, split, row)
                    if isinstance(values, Problem):
                        self._set_aside(row.file or source.name, row, values, set_aside)
                        continue
                    batch.append(values)
                    held += sum(len(value) for value in values if isinstance(value, bytes))
                    if len(batch) == _BATCH or held > _BATCH_BYTES:
                        flush()
                        held = 0
            if batch:
                flush()
        self.ledger.close()
        self.targets.close()

    def _keep(self, source: int, split: int, row: SourceRow) -> tuple[Any, ...] | Problem:
        """The row's values, once it is in the ledger; or why it cannot be."""
        if row.wrong is not None:
            return Problem("malformed", None, row.wrong)
        values = self.format.read(row.cells)
        if isinstance(values, Problem):
            return values
        extent = self.format.extent(values) if self.format.extent else None
        target = self.targets.read(row.cells if extent is None else {**row.cells, EXTENT: extent})
        if isinstance(target, Problem):
            return target
        if self._split_column is not None:
            named = check_split(row.cells.get(self._split_column), self._split_column)
            if isinstance(named, Problem):
                return named
            split = named
        if reason := self.input.unservable(values):
            message = f"{reason}: it is trained on, and could not be asked"
            place = row.file or self.sources[source], row.number
            self.findings.add(Issue("warning", "unservable", message, *place, None))
        if row.embedded:
            self.embedded[len(self.ledger)] = row.embedded
        exact, group = content_hash(self.input.content_key(values)), content_hash(self.input.group_key(values))
        draw = self._draw(row.cells)
        if isinstance(draw, Problem):
            return draw
        self.ledger.add(source, row.number, split, self.input.size(values), exact, group, draw, row.file)
        self.targets.append(target)
        if extent is not None:
            self.extents.append(extent)
        return values

    def _draw(self, cells: Mapping[str, Any]) -> int | Problem | None:
        """See `Ledger`. None where the row itself decides."""
        if self.data.split_by_date is not None:
            column = normal_form(self.data.split_by_date)
            return check_date(cells.get(column), column)
        if self.data.group_column is not None:
            shared = str(cells.get(normal_form(self.data.group_column)) or "")
            return content_hash(shared.encode("utf-8", "surrogatepass")) if shared else None
        return None

    def _set_aside(self, source: str, row: SourceRow, problem: Problem, set_aside: Writer) -> None:
        self.findings.add(Issue("error", problem.kind, problem.message, source, row.number, problem.column))
        self.findings.unreadable += 1
        why = f"{problem.column} {problem.message}" if problem.column else problem.message
        columns = [*self.format.columns, self.targets.column]
        cells = [row.cells.get(column, "") for column in columns] if row.wrong is None else [row.text]
        set_aside.writerow([source, row.number, why, *cells, *[""] * (len(columns) - len(cells))])
