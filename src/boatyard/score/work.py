"""One slice: read, answered, written as a block."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import to_json

from boatyard.bundle.predict import open_predictor, served_files
from boatyard.bundle.rows import InputRow, chunks_of
from boatyard.registry import fetch
from boatyard.score.files import PARQUET, Forms
from boatyard.score.plan import Plan, block_name
from boatyard.score.slices import read
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
        """Writes the block of this slice; doing it again writes the same bytes under the same name."""
        piece, bad = self._plan.slices[number], 0
        wanted = {*self._scorer.reads, *self._plan.carried}
        content = BytesIO()
        with pq.ParquetWriter(content, self._schema, compression="zstd") as writer:
            rows = read(self._rows, self._plan.files, piece, self._forms, wanted)
            for chunk in chunks_of(rows, piece.start):
                table = self._table(chunk, piece.file)
                bad += len(chunk) - table["error"].null_count
                writer.write_table(table)
        self._out.write(block_name(number), content.getvalue())
        return Done(piece.rows, bad)

    def _table(self, rows: Sequence[InputRow], file: int) -> pa.Table:
        answered = self._scorer.answer(rows)
        form = self._plan.files[file].form
        cells = [[_cell(row, name, as_json=form != PARQUET) for row in rows] for name in self._plan.carried]
        first = [[self._source(row, file) for row in rows], [row.number for row in rows], *cells]
        columns = [pa.array(column, field.type) for column, field in zip(first, self._schema, strict=False)]
        return pa.Table.from_arrays([*columns, *answered.columns], schema=self._schema)

    def _source(self, row: InputRow, file: int) -> str:
        name = self._plan.files[file].name
        if row.file is None:
            return name
        return row.file if self._forms.is_single(self._plan.files[file]) else f"{name}/{row.file}"


def _cell(row: InputRow, name: str, *, as_json: bool) -> Any:
    """As Parquet has it; of other files a string as it is, and anything else as JSON."""
    value = row.fields.get(name) if isinstance(row.fields, dict) else None
    return value if value is None or isinstance(value, str) or not as_json else to_json(value).decode()
