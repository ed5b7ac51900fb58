"""What traffic is compared with later: what held-out rows look like, and how the model answers them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from boatyard.predict import Predictor

_MOST_ROWS = 5_000


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
