"""What traffic is compared with later: what held-out rows look like, and how the model answers them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from boatyard.bundle.predict import EMBEDDING, Predictor

_MOST_ROWS = 5_000


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
