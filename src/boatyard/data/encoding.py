"""Batches of checked rows to network inputs, each by itself, so that several processes can do it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from boatyard import inputs
from boatyard.inputs.training_protocol import TARGET

Batch = tuple[str, pa.RecordBatch]
"""A split's name and some of its rows."""


def batch_encoder(input_: str, folder: Path, fields: Sequence[str]) -> Callable[[Batch], Batch]:
    """By what `make_inputs` wrote into the folder. Of rows with these fields and TARGET: their inputs and TARGET."""
    encoder = inputs.training(input_).open_encoder(folder)

    def encode(batch: Batch) -> Batch:
        split, rows = batch
        values = list(zip(*(rows.column(field).to_pylist() for field in fields), strict=True))
        return split, pa.RecordBatch.from_pydict({**encoder.encode(values), TARGET: rows.column(TARGET)})

    return encode
