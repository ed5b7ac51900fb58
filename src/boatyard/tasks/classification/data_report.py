"""The data report's part on labels: how many rows each has."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boatyard.data.summary import DataSummary
from boatyard.evaluate.markdown import escape
from boatyard.tasks.protocol import Section

MOST_NAMES = 10
UNEVEN = 10  # labels further apart than this make accuracy misleading


def data_facts(summary: DataSummary) -> dict[str, Any]:
    """`labels`, the rows of each by split, and how many times the rows of the smallest the largest has."""
    counts = _counts(summary)
    return {
        "labels": list(summary.target["labels"]),
        "label_counts": {split: rows.tolist() for split, rows in counts.items()},
        "imbalance": imbalance(_rows_of_labels(counts)),
    }


def data_section(summary: DataSummary, folder: Path) -> list[Section]:
    """Draws `labels.png`."""
    from boatyard.tasks.classification.data_plots import labels_png  # most stages draw nothing

    counts = _counts(summary)
    labels_png(folder / "labels.png", summary.target["labels"], counts)
    sentences = " ".join(_balance(summary.target["labels"], counts))
    return [Section("Labels", [sentences, "![Rows of each label](labels.png)"])]


def imbalance(rows: NDArray[np.int64]) -> float:
    """How many times the rows of the smallest label the largest has; labels without a row left out."""
    rows = rows[rows > 0]
    return float(rows.max() / rows.min()) if len(rows) else 1.0


def _counts(summary: DataSummary) -> dict[str, NDArray[np.int64]]:
    """By split, the rows of each label."""
    labels = len(summary.target["labels"])
    return {split: np.bincount(values, minlength=labels) for split, values in summary.targets.items()}


def _rows_of_labels(counts: Mapping[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    rows: NDArray[np.int64] = np.sum(list(counts.values()), axis=0)
    return rows


def _balance(labels: Sequence[str], counts: Mapping[str, NDArray[np.int64]]) -> Iterator[str]:
    rows = _rows_of_labels(counts)
    if not rows.any():
        yield "There are no rows."
        return
    ratio = imbalance(rows)
    yield f"{len(labels):,} labels; the largest has {ratio:.1f} times the rows of the smallest."
    if ratio > UNEVEN:
        yield "That is uneven: accuracy will say little of the small labels, so read macro-F1 and the table per label."
    for split, of_split in counts.items():
        missing = [label for label, count in zip(labels, of_split, strict=True) if not count]
        if missing and of_split.any():
            yield f"Without a row in {escape(split)}: {_named(missing)}."


def _named(labels: Sequence[str]) -> str:
    named = ", ".join(escape(label) for label in labels[:MOST_NAMES])
    more = len(labels) - MOST_NAMES
    return f"{named} and {more:,} more" if more > 0 else named
