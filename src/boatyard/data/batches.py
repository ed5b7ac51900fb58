"""Batches of rows: as a file holds them, and of a size that does not tell who made them."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def read_batches(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """What `path` holds, read and not mapped: of a file, all that was mapped counts as this process's memory."""
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as batches:
        for batch in batches:
            yield batch if columns is None else batch.select(columns)


def in_batches(pieces: Iterable[pa.RecordBatch], rows: int, binary: int = sys.maxsize) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of so many, or of few more bytes of binary columns, wherever the pieces begin."""
    waiting: pa.Table | None = None
    for piece in pieces:
        table = pa.Table.from_batches([piece])
        waiting = table if waiting is None else pa.concat_tables([waiting, table])
        while (end := _first_batch(waiting, rows, binary)) is not None:
            yield waiting.slice(0, end).combine_chunks().to_batches()[0]
            waiting = waiting.slice(end)
    if waiting is not None and len(waiting):
        yield waiting.combine_chunks().to_batches()[0]


def _first_batch(table: pa.Table, rows: int, binary: int) -> int | None:
    """How many rows it has; None where they may be more than are there."""
    sizes = [pc.binary_length(column).to_numpy() for column in table.columns if pa.types.is_binary(column.type)]
    if sizes:
        held = np.cumsum(np.sum(sizes, axis=0))
        rows = min(rows, int(np.searchsorted(held, binary, side="right")) + 1)
    return rows if rows <= len(table) else None
