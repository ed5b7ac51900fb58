"""Parts for an input whose rows each become arrays of a fixed shape."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from boatyard.inputs.protocol import Encoded, Feeds, InvalidInput, OpenInput, Parts
from boatyard.inputs.training_protocol import TARGET, Features, Problem, RowFormat

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    from torch import Tensor

    from boatyard.config.schema import Data
    from boatyard.journal.columns import Column

Schema = Mapping[str, Any]


class ArrayRow(Encoded, Protocol):
    """A row whose arrays are of a fixed shape."""

    @property
    def arrays(self) -> Feeds:
        """As a graph reads them, by the names of its inputs."""

    @property
    def measured(self) -> Mapping[str, Any]:
        """A value for each of the input's columns."""


@dataclass(frozen=True, slots=True)
class EncodedArrays:
    """An ArrayRow that is at hand."""

    arrays: Feeds
    measured: Mapping[str, Any] = field(default_factory=dict)
    truncated: bool = False
    cost: int = 1


class ArrayInput:
    """What an OpenInput of such rows need not define. It defines `parse` and `encode_row`."""

    measured: Sequence[Column] = ()
    described: Sequence[Column] = ()

    def encode_row(self, row: Any) -> ArrayRow:
        """One row; arrays of the same name are of one shape."""
        raise NotImplementedError

    def encode(self, rows: Sequence[Any]) -> list[ArrayRow]:
        """One after another."""
        return [self.encode_row(row) for row in rows]

    def collate(self, encoded: Sequence[ArrayRow]) -> Feeds:
        """[rows, ...] each."""
        rows = [row.arrays for row in encoded]
        return {name: np.stack([arrays[name] for arrays in rows]) for name in rows[0]}

    def name_of(self, row: Any) -> None:
        """None."""

    def measure(self, encoded: ArrayRow) -> dict[str, Any]:
        """As the row was encoded."""
        return dict(encoded.measured)

    def describe(self, rows: Sequence[Any], encoded: Sequence[ArrayRow]) -> dict[str, list[Any]]:  # noqa: ARG002
        """Nothing."""
        return {}

    def parts(self, row: Any) -> Parts[Any]:
        """None that could be told apart."""
        return Parts([], lambda kept, _: [row] * len(kept))


class ArrayTraining:
    """What `training` owes on rows and their arrays, by the part that serves, so that training sees what serving sees.

    `fields`: JSON Schemas by name, of strings, numbers, truth values and lists of these. `shown_as`: what the arrays
    are, as a noun phrase.
    """

    def __init__(self, served: OpenInput[Any, Any], fields: Mapping[str, Schema], shown_as: str) -> None:
        self._served = served
        self._fields = fields
        self._shown_as = shown_as

    def row_format(self, data: Data) -> RowFormat:  # noqa: ARG002 - every input's signature
        """Columns by the fields' names, of which the row is what a server makes of them."""
        names = list(self._fields)
        return RowFormat({name: _arrow_type(self._fields[name]) for name in names}, self._read, names)

    def request_schema(self, fields: Sequence[str], folder: Path) -> dict[str, Any]:  # noqa: ARG002 - every input's
        """All fields are required."""
        return {"type": "object", "properties": dict(self._fields), "required": list(self._fields)}

    def open_encoder(self, folder: Path) -> ArrayEncoder:  # noqa: ARG002 - every input's signature
        """It needs no files."""
        return ArrayEncoder(self._served)

    def simple_features(self, data: Data) -> ArrayFeatures:  # noqa: ARG002 - every input's signature
        """The arrays."""
        return ArrayFeatures(self._served, self._shown_as)

    def _read(self, cells: Mapping[str, Any]) -> tuple[Any, ...] | Problem:
        """What a server refuses is a problem of the first field, if no other is named."""
        try:
            row: tuple[Any, ...] = self._served.parse({name: cells.get(name) for name in self._fields})
        except InvalidInput as wrong:
            column = wrong.pointer.removeprefix("/")
            column = column if column in self._fields else next(iter(self._fields))
            return Problem("unservable", column, f"cannot be used: {wrong.detail}")
        return row


class ArrayEncoder:
    """An Encoder whose columns are the graph's inputs, each in lists."""

    def __init__(self, served: OpenInput[Any, Any]) -> None:
        self._served = served

    def encode(self, rows: Sequence[Any]) -> dict[str, pa.Array]:
        """The arrays of each row, and its cost."""
        import pyarrow as pa  # not installed where a model is served

        encoded = self._served.encode(rows)
        feeds = self._served.collate(encoded)
        costs = pa.array([row.cost for row in encoded], pa.int32())
        return {"cost": costs, **{name: _lists(array) for name, array in feeds.items()}}

    def collate(self, items: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """The graph's inputs as tensors, [rows, ...]."""
        import torch

        names = items[0].keys() - {"cost", TARGET}
        return {name: torch.tensor([item[name] for item in items]) for name in sorted(names)}


class ArrayFeatures:
    """SimpleFeatures that are the arrays themselves, [rows, numbers]."""

    most_rows = 50_000
    most_cost = 50_000

    def __init__(self, served: OpenInput[Any, Any], name: str) -> None:
        self.name = name
        self._served = served

    def cost(self, rows: Sequence[Any]) -> int:
        """In rows."""
        return len(rows)

    def features(self, *, rich: bool) -> tuple[Features, str]:  # noqa: ARG002 - every input's signature
        """The same, rich or not."""
        from sklearn.preprocessing import FunctionTransformer

        return FunctionTransformer(self._flat), self.name

    def _flat(self, rows: Sequence[Any]) -> Any:
        feeds = self._served.collate(self._served.encode(rows))
        return np.hstack([array.reshape(len(rows), -1) for array in feeds.values()])


def _lists(array: np.ndarray[Any, Any]) -> pa.Array:
    """Of each row its values, in lists as deep as the array has further dimensions."""
    import pyarrow as pa

    values = pa.array(array.reshape(-1))
    for dimension in range(array.ndim - 1, 0, -1):
        rows = math.prod(array.shape[:dimension])
        values = pa.ListArray.from_arrays(np.arange(rows + 1, dtype=np.int32) * array.shape[dimension], values)
    return values


def _arrow_type(schema: Schema) -> pa.DataType:
    import pyarrow as pa

    if schema["type"] == "array":
        return pa.list_(_arrow_type(schema["items"]))
    return {"string": pa.string(), "number": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_()}[schema["type"]]
