"""What preparing found: the facts behind the data report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Issue:
    """Something wrong at one place; `row` counts as an editor does, `column` is None for the whole row.

    `message` goes on from the place, as in "train.csv:7 *is empty*".
    """

    severity: Literal["error", "warning"]
    kind: str
    message: str
    file: str
    row: int
    column: str | None


@dataclass(frozen=True)
class DataSummary:
    """One prepared data set.

    `label_counts[split]` is aligned with `labels`; `lengths[split]` holds each row's length in `length_unit`.
    `issues` may be capped; `issue_counts` counts all, by "severity:kind". `samples[label]` holds a few rows,
    each as one string or as a string for each field.
    """

    name: str
    fingerprint: str
    sources: Sequence[str]
    fields: Sequence[str]
    labels: Sequence[str]
    split_rows: Mapping[str, int]
    label_counts: Mapping[str, Sequence[int]]
    lengths: Mapping[str, Sequence[int] | NDArray[np.integer[Any]]]
    length_unit: str
    issues: Sequence[Issue]
    issue_counts: Mapping[str, int]
    samples: Mapping[str, Sequence[str | tuple[str, ...]]]
    quarantined: int
    quarantine_file: str | None

    def rows_of_labels(self) -> NDArray[np.int64]:
        """Rows of each label over all splits, int64[labels]."""
        counted = (np.asarray(counts, np.int64) for counts in self.label_counts.values())
        return sum(counted, start=np.zeros(len(self.labels), np.int64))

    def imbalance(self) -> float:
        """How many times the rows of the smallest label the largest has; labels without a row left out."""
        rows = self.rows_of_labels()
        rows = rows[rows > 0]
        return float(rows.max() / rows.min()) if len(rows) else 1.0
