"""A row taken apart into its columns: to explain an answer, some of its values are exchanged for others' values."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from boatyard.inputs.protocol import Part, Parts
from boatyard.inputs.table.cells import Value
from boatyard.inputs.table.columns import Row

FILE = "background.json"
MOST = 32
"""Rows: one for each path of `boatyard.bundle.explain`. A single one, such as all medians, would mislead."""


def write_background(rows: Sequence[Row], folder: Path, seed: int = 0) -> None:
    """Some of the rows, each as likely as another."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(rows))[:MOST])
    content = json.dumps([list(rows[place]) for place in chosen], ensure_ascii=False, allow_nan=False)
    (folder / FILE).write_text(content + "\n", encoding="utf-8")


def read_background(folder: Path, columns: int) -> list[Row]:
    """What was written there. Raises ValueError where that is not one row or more with so many columns each."""
    rows = json.loads((folder / FILE).read_text(encoding="utf-8"))
    if not (isinstance(rows, list) and rows and all(isinstance(row, list) and len(row) == columns for row in rows)):
        raise ValueError(f"it does not hold rows of {columns} columns")
    return [tuple(row) for row in rows]


def take_apart(names: Sequence[str], row: Row, background: Sequence[Row]) -> Parts[Row]:
    """Each column is a part; what is not the row's own is the background row's."""

    def variant(kept: NDArray[np.bool_], other: Row) -> Row:
        values: list[Value] = [
            own if is_own else foreign for is_own, own, foreign in zip(kept.tolist(), row, other, strict=True)
        ]
        return tuple(values)

    return Parts(
        [Part(name, name) for name in names],
        lambda kept, numbers: [
            variant(line, background[number]) for line, number in zip(kept, numbers.tolist(), strict=True)
        ],
        len(background),
    )
