"""What traffic is compared with later: what held-out rows look like, and how the model answers them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from boatyard import inputs
from boatyard.bundle.predict import EMBEDDING, Predictor
from boatyard.config.errors import UserError, refusal
from boatyard.config.schema import Config
from boatyard.data.prepare import Prepared
from boatyard.data.stored import as_stored
from boatyard.inputs.training_protocol import Problem

_MOST_ROWS = 5_000


def read_reference_rows(config: Config, prepared: Prepared, file: str) -> list[Any]:
    """The rows of a file, read as those of `data.path` are, that has what a request has.

    Raises:
        UserError: it cannot be read, has no row, lacks a column, or has a row that cannot be used.
    """
    input_, data = inputs.training(config.data.input), as_stored(prepared.data, file)
    format_ = input_.row_format(data)
    try:
        sources = input_.open_sources(data, format_.columns, Path(config.paths.processed, "fetched"))
        source_rows = [row for source in sources for row in source.rows()]
    except (OSError, UserError) as wrong:
        raise UserError(f"export.reference={file} cannot be read: {refusal(wrong)}") from None
    rows = []
    for source_row in source_rows:
        read = source_row.wrong or format_.read(source_row.cells)
        if isinstance(read, Problem):
            read = f"column {read.column!r} {read.message}" if read.column else read.message
        if isinstance(read, str):
            raise UserError(f"export.reference={file}, row {source_row.number}: {read}")
        rows.append(read)
    if not rows:
        raise UserError(f"export.reference={file} has no rows")
    return rows


def reference_rows(rows: int) -> list[int]:
    """The numbers of sampled rows: a file may be sorted by its targets."""
    drawn = np.random.default_rng(0).permutation(rows)[:_MOST_ROWS]
    return [int(row) for row in np.sort(drawn)]


def reference(rows: Sequence[Any], predictor: Predictor) -> pa.Table:
    """A row for each: the columns of its answer, what the input measures and describes, and any embedding."""
    predictions, encoded = predictor.answer(rows), predictor.input.encode(rows)
    embedding = predictor.run(encoded).get(EMBEDDING)
    return pa.table(
        {
            **{column.name: [each.answer[column.name] for each in predictions] for column in predictor.task.columns},
            **{
                column.name: [each.measured[column.name] for each in predictions] for column in predictor.input.measured
            },
            "truncated": [each.truncated for each in predictions],
            **predictor.input.describe(rows, encoded),
            **({} if embedding is None else {EMBEDDING: _lists(embedding)}),
        }
    )


def _lists(rows: NDArray[Any]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(rows.ravel(), rows.shape[1])
