"""What traffic is compared with later: what held-out rows look like, and how the model answers them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from boatyard.bundle.predict import Predictor
from boatyard.config.errors import UserError, refusal
from boatyard.data.read import file_source
from boatyard.data.validate import check_texts

_MOST_ROWS = 5_000


def read_reference_rows(file: Path, fields: Sequence[str]) -> list[tuple[str, ...]]:
    """The rows of a file, read as those of `data.path` are, that has a column for each field.

    Raises:
        UserError: it cannot be read, has no row, lacks a column, or has a row that cannot be used.
    """
    try:
        rows = list(file_source(file, None).rows(fields))
    except (OSError, UserError) as wrong:
        raise UserError(f"export.reference={file} cannot be read: {refusal(wrong)}") from None
    for row in rows:
        problem = check_texts(row.values, fields) if row.wrong is None else None
        if why := f"column {problem.column!r} {problem.message}" if problem else row.wrong:
            raise UserError(f"export.reference={file}, row {row.number}: {why}")
    if not rows:
        raise UserError(f"export.reference={file} has no rows")
    return [tuple(row.values) for row in rows]


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
