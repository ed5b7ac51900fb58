"""Rows as Boatyard itself writes them: JSON Lines with what a request has, and the target."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from boatyard import inputs
from boatyard.config.schema import Data
from boatyard.inputs.training_protocol import TARGET


def write_rows(file: Path, data: Data, fields: Sequence[str], rows: Iterable[tuple[Sequence[Any], Any]]) -> None:
    """Each row with its target, as a source holds it. In JSON Lines no stray quote swallows a row."""
    request = inputs.training(data.input).request
    with file.open("w", encoding="utf-8", newline="\n") as lines:
        for row, target in rows:
            lines.write(f"{json.dumps({**request(fields, row), TARGET: target}, ensure_ascii=False)}\n")


def as_stored(data: Data, path: str) -> Data:
    """`data`, with what was written to `path` in place of its own source."""
    return data.model_copy(
        update={
            "path": path,
            "hub": None,
            "split_column": None,
            "split_by_date": None,
            "group_column": None,
            "earlier_splits": None,
            "target": TARGET,
            "max_train_rows": None,
            **inputs.training(data.input).row_format(data).stored,
        }
    )
