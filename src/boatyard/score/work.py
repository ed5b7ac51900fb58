"""One slice: read, answered, written as a block."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from boatyard.bundle.predict import open_predictor, served_files
from boatyard.bundle.rows import InputRow
from boatyard.config.errors import UserError
from boatyard.inputs.parquet import readable_strings
from boatyard.inputs.texts import readable
from boatyard.registry import fetch
from boatyard.score.files import File, Forms
from boatyard.score.plan import BLOCK, Plan, block_name
from boatyard.score.slices import Chunk, Slice, read
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
        content = BytesIO()
        with pq.ParquetWriter(content, self._schema, compression="zstd") as writer:
            header = self._plan.headers.get(piece.file)
            writer.add_key_value_metadata({BLOCK: self._plan.mark(number)})
            files, reads, carried = self._plan.task.files, self._scorer.reads, self._plan.carried
            for chunk in read(self._rows, files, piece, header, self._forms, reads, carried):
                table = self._table(chunk, piece.file)
                done += len(table)
                bad += len(table) - table["error"].null_count
                writer.write_table(table)
        if changed := self._changed(piece) or (self._files(piece)[0] if done != piece.rows else None):
            raise UserError(f"{changed.name} has changed since the run began")
        self._out.write(block_name(number), content.getvalue())
        return Done(piece.rows, bad)

    def _changed(self, piece: Slice) -> File | None:
        """The first of the slice's files that is no longer what it was."""
        return next((file for file in self._files(piece) if not self._is_unchanged(file)), None)

    def _files(self, piece: Slice) -> Sequence[File]:
        files = self._plan.task.files
        return files[piece.file :][: piece.rows if self._forms.is_single(files[piece.file]) else 1]

    def _is_unchanged(self, file: File) -> bool:
        return self._rows.describe(file.key).get(file.key) == (file.size, file.mark)

    def _table(self, chunk: Chunk, file: int) -> pa.Table:
        places = [[self._source(row, file) for row in chunk.rows], [row.number for row in chunk.rows]]
        types = self._schema.types[len(places) :]
        carried = [_column(chunk, name, kind) for name, kind in zip(self._plan.carried, types, strict=False)]
        answered = self._scorer.answer(chunk.rows)
        return pa.Table.from_arrays([*map(pa.array, places), *carried, *answered.columns], schema=self._schema)

    def _source(self, row: InputRow, file: int) -> str:
        name = self._plan.task.files[file].name
        if row.file is None:
            return name
        return row.file if self._forms.is_single(self._plan.task.files[file]) else f"{name}/{row.file}"


def _column(chunk: Chunk, name: str, kind: pa.DataType) -> pa.Array:
    """Of Parquet as it is: Python has not all that it may hold."""
    if chunk.columns is None:
        return pa.array([_cell(row, name) for row in chunk.rows], kind)
    column = chunk.columns.get(name)
    if column is None or pa.types.is_null(column.type):
        return pa.nulls(len(chunk.rows), kind)
    return readable_strings(column)


def _cell(row: InputRow, name: str) -> str | None:
    """A string as it is, anything else as JSON."""
    value = row.fields.get(name) if isinstance(row.fields, dict) else None
    if value is None:
        return None
    return readable(value if isinstance(value, str) else _json(value))


def _json(value: Any) -> str:
    """A number beyond floats, such as 1e999, was read as infinity, which JSON has only as a string."""
    write = partial(json.dumps, ensure_ascii=False, separators=(",", ":"))
    try:
        return write(value, allow_nan=False)
    except ValueError:
        return write(json.loads(write(value), parse_constant=str))
