"""Rows to the arrays that training reads, by the columns that training rows say of themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boatyard.config.schema import Data, Model
from boatyard.inputs.arrays import ArrayEncoder
from boatyard.inputs.table import numbers, serving
from boatyard.inputs.table.columns import CATEGORIES, NUMBERS, Row, read_columns
from boatyard.inputs.table.facts import learn_columns
from boatyard.inputs.table.numbers import Sample, learn_numbers
from boatyard.inputs.table.parts import write_background
from boatyard.inputs.table.rows import kinds_of, missing_words
from boatyard.inputs.table.serving import TableInput
from boatyard.inputs.table.settings import table_model

if TYPE_CHECKING:
    from torch import Tensor


def make_inputs(model: Model, data: Data, rows: Iterable[Row], folder: Path) -> None:
    """Write `columns.json`, `background.json` and, for a network, what is learnt of the numbers as `numbers.json`."""
    sample = Sample[Row]()
    columns = learn_columns(kinds_of(data), missing_words(data), sample.passing(rows))
    columns.write(folder)
    write_background(sample.rows, folder)
    if (network := table_model(model).network) is not None:
        rows_of_numbers = np.array([columns.arrays(row)[NUMBERS] for row in sample.rows])
        shape = len(sample.rows), len(columns.number_names)  # either may be 0
        learnt = learn_numbers(rows_of_numbers.reshape(shape), network.bins)
        (folder / numbers.FILE).write_text(json.dumps(learnt), encoding="utf-8")


def request_schema(fields: Sequence[str], folder: Path) -> dict[str, Any]:  # noqa: ARG001 - every input's signature
    """With levels and ranges as examples and descriptions: others are taken too."""
    return serving.request_schema(read_columns(folder))


def open_encoder(folder: Path) -> TableEncoder:
    """By `columns.json`."""
    return TableEncoder(TableInput(read_columns(folder)))


class TableEncoder(ArrayEncoder):
    """Numbers stay as exact as they came: it is the network that makes them float32, once they are centred."""

    def collate(self, items: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """`numbers`, float64[rows, numbers], and `categories`, int64[rows, categories]."""
        import torch

        types = {NUMBERS: torch.float64, CATEGORIES: torch.int64}
        return {name: torch.tensor([item[name] for item in items], dtype=type_) for name, type_ in types.items()}
