"""What preparing found: the facts behind the data report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
class Drawn:
    """A training row on its canvas, [height, width, 3]. `extent`: how far places in it go; `target`: as stored."""

    canvas: NDArray[np.uint8]
    extent: Sequence[int]
    target: Any


@dataclass(frozen=True)
class DataSummary:
    """One prepared data set.

    `targets[split]` and `sizes[split]` hold each row's stored target, and its size in `size_unit`. `issues` may be
    capped; `issue_counts` counts all, by "severity:kind". `samples` holds a few rows by the targets' groups, each as a
    person reads it. `extents[split]`, [rows, dimensions], says how far places in each row go, where rows have places;
    `drawn` are a few rows that can be drawn.
    """

    name: str
    fingerprint: str
    sources: Sequence[str]
    fields: Sequence[str]
    target: Mapping[str, Any]
    split_rows: Mapping[str, int]
    targets: Mapping[str, NDArray[Any]]
    sizes: Mapping[str, Sequence[int] | NDArray[np.integer[Any]]]
    size_unit: str
    issues: Sequence[Issue]
    issue_counts: Mapping[str, int]
    samples: Mapping[str, Sequence[str]]
    quarantined: int
    quarantine_file: str | None
    extents: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    drawn: Sequence[Drawn] = ()
