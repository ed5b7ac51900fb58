"""One slice: read, answered, written as a block."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from boatyard.bundle.predict import open_predictor, served_files
from boatyard.bundle.rows import InputRow, chunks_of
from boatyard.config.errors import UserError
from boatyard.inputs.texts import readable
from boatyard.registry import fetch
from boatyard.score.files import PARQUET, Forms
from boatyard.score.plan import Plan, block_name
from boatyard.score.slices import Slice, read
from boatyard.score.table import Scorer
from boatyard.storage import open_storage


@dataclass(frozen=True)
class Places:
    """The storages of a run: of the models, the rows and the blocks."""

    models: str
    rows: str
    out: str


@dataclass(frozen=True)
class Done:
    """A block that was written. `bad`: how many of its rows have an error."""

    rows: int
    bad: int


class Worker:
    """Opens the bundle once, in one thread: there are as many workers as cores."""

    def __init__(self, plan: Plan, places: Places) -> None:
        with TemporaryDirectory(prefix="boatyard-") as folder:
            bundle = fetch(open_storage(places.models), plan.task.reference, Path(folder), served_files)
            self._scorer = Scorer(open_predictor(bundle, threads=1))
        self._plan = plan
        self._schema = plan.schema
        self._forms = Forms(bundle.manifest)
        self._rows, self._out = open_storage(places.rows), open_storage(places.out)

    def work(self, number: int) -> Done:
        """Writes the block of this slice; doing it again writes the same bytes under the same name.

        Raises UserError: its file is not what it was when it was cut.
        """
        piece = self._plan.slices[number]
        done = bad = 0
        wanted = {*self._scorer.reads, *self._plan.carried}
        content = BytesIO()
        with pq.ParquetWriter(content, self._schema, compression="zstd") as writer:
            header = self._plan.headers.get(piece.file)
            rows = read(self._rows, self._plan.task.files, piece, header, self._forms, wanted)
            for chunk in chunks_of(rows, piece.start):
                table = self._table(chunk, piece.file)
                done += len(chunk)
                bad += len(chunk) - table["error"].null_count
                writer.write_table(table)
        if done != piece.rows or not self._is_unchanged(piece):
            raise UserError(f"{self._plan.task.files[piece.file].name} has changed since the run began")
        self._out.write(block_name(number), content.getvalue())
        return Done(piece.rows, bad)

    def _is_unchanged(self, piece: Slice) -> bool:
        file = self._plan.task.files[piece.file]
        if self._forms.is_single(file):  # nothing was noted of what is in it
            return True
        return self._rows.describe(file.key).get(file.key) == (file.size, file.mark)

    def _table(self, rows: Sequence[InputRow], file: int) -> pa.Table:
        answered = self._scorer.answer(rows)
        cell = _typed_cell if self._plan.task.files[file].form == PARQUET else _cell
        cells = [[cell(row, name) for row in rows] for name in self._plan.carried]
        first = [[self._source(row, file) for row in rows], [row.number for row in rows], *cells]
        columns = [pa.array(column, field.type) for column, field in zip(first, self._schema, strict=False)]
        return pa.Table.from_arrays([*columns, *answered.columns], schema=self._schema)

    def _source(self, row: InputRow, file: int) -> str:
        name = self._plan.task.files[file].name
        if row.file is None:
            return name
        return row.file if self._forms.is_single(self._plan.task.files[file]) else f"{name}/{row.file}"


def _typed_cell(row: InputRow, name: str) -> Any:
    """Of Parquet."""
    return row.fields.get(name) if isinstance(row.fields, dict) else None


def _cell(row: InputRow, name: str) -> str | None:
    """Of other files: a string as it is, anything else as JSON."""
    value = _typed_cell(row, name)
    if value is None:
        return None
    return readable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":")))
