"""Parts for an input whose rows each become arrays of a fixed shape: they encode as the serving part does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from boatyard.inputs.protocol import Features, OpenInput

if TYPE_CHECKING:
    from torch import Tensor


class ArrayEncoder:
    """An Encoder whose columns are the graph's inputs, each a list."""

    def __init__(self, served: OpenInput[Any, Any]) -> None:
        self._served = served

    def encode(self, rows: Sequence[Any]) -> dict[str, pa.Array]:
        """A list for each row, and its cost."""
        encoded = self._served.encode(rows)
        feeds = self._served.collate(encoded)
        costs = pa.array([row.cost for row in encoded], pa.int32())
        return {"cost": costs, **{name: pa.array(list(array)) for name, array in feeds.items()}}

    def collate(self, items: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """The graph's inputs as tensors, [rows, ...]."""
        import torch

        names = items[0].keys() - {"cost", "target"}
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
