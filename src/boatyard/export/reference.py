"""What traffic is compared with later: what held-out rows look like, and how the model answers them."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from boatyard.errors import UserError
from boatyard.predict import Predictor

_MOST_ROWS = 5_000


def read_reference_rows(file: Path, fields: Sequence[str]) -> list[tuple[str, ...]]:
    """The rows of a CSV file that has a column for each field.

    Raises:
        UserError: it cannot be read, has no row, or lacks a column.
    """
    try:
        with file.open(encoding="utf-8", newline="") as source:
            rows = list(csv.DictReader(source))
    except (OSError, UnicodeDecodeError, csv.Error) as wrong:
        raise UserError(f"export.reference={file} cannot be read: {wrong}") from None
    if not rows or not all(row.get(field) for row in rows for field in fields):
        raise UserError(f"export.reference={file} needs rows with something in every column of {', '.join(fields)}")
    return [tuple(row[field] for field in fields) for row in rows]


def reference_rows(rows: int) -> list[int]:
    """Which of so many rows: drawn, because a file may be in the order of its labels."""
    drawn = np.random.default_rng(0).permutation(rows)[:_MOST_ROWS]
    return [int(row) for row in np.sort(drawn)]


def reference(rows: Sequence[Any], predictor: Predictor) -> pa.Table:
    """A row for each: the answer, the length, what the kind describes, the embedding."""
    encoded = predictor.model.encode(rows)
    answers = predictor.run(encoded)
    labels = predictor.manifest.labels
    return pa.table(
        {
            "label": [labels[best] for best in answers.probabilities.argmax(1)],
            "score": answers.probabilities.max(1),
            "length": [row.length for row in encoded],
            "truncated": [row.truncated for row in encoded],
            **predictor.model.describe(rows, encoded),
            "embedding": pa.FixedSizeListArray.from_arrays(answers.embedding.ravel(), answers.embedding.shape[1]),
        }
    )
