"""Inputs whose rows become arrays, of any number and any shape."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn

from boatyard.inputs.arrays import ArrayEncoder, ArrayInput, EncodedArrays
from boatyard.inputs.graphs import write_graph
from boatyard.model import Network, Served

pytestmark = pytest.mark.unit

ROWS = [([1.0, 2.0, 3.0, 4.0], 0.5), ([5.0, 6.0, 7.0, 8.0], -1.0)]


class Grids(ArrayInput):
    """A grid of two by two, and a number."""

    def parse(self, payload: Any) -> tuple[list[float], float]:
        return payload["grid"], payload["scale"]

    def encode_row(self, row: tuple[list[float], float]) -> EncodedArrays:
        return EncodedArrays(
            {"grid": np.array(row[0], np.float32).reshape(2, 2), "factor": np.array(row[1], np.float32)}
        )


class Backbone(nn.Module):
    """Its arguments are not in the order of their names, by which they come in a batch."""

    width = 4

    def forward(self, grid: Tensor, factor: Tensor) -> Tensor:
        return grid.flatten(1) * factor.unsqueeze(1)


class Head(nn.Module):
    def forward(self, features: Tensor) -> dict[str, Tensor]:
        return {"sum": features.sum(1)}

    def served(self, raw: dict[str, Tensor]) -> tuple[Tensor]:
        return (raw["sum"],)


def batch() -> dict[str, Tensor]:
    """By way of the columns that are kept of encoded rows."""
    encoder = ArrayEncoder(cast(Any, Grids()))
    columns = {name: column.to_pylist() for name, column in encoder.encode(ROWS).items()}
    return encoder.collate([{name: column[row] for name, column in columns.items()} for row in range(len(ROWS))])


def test_training_sees_what_the_server_sees() -> None:
    served = Grids().collate(Grids().encode(ROWS))
    assert {name: tensor.shape for name, tensor in batch().items()} == {"grid": (2, 2, 2), "factor": (2,)}
    for name, tensor in batch().items():
        assert tensor.dtype == torch.float32
        assert np.array_equal(tensor.numpy(), served[name])


def test_a_graph_takes_its_inputs_by_name_whatever_the_order_of_the_batch(tmp_path: Path) -> None:
    network = cast(Network, SimpleNamespace(backbone=Backbone(), head=Head(), members=None))
    write_graph(Served(network), batch(), ["sum", "embedding"], tmp_path / "model.onnx")
    session = ort.InferenceSession(tmp_path / "model.onnx")
    sums, _ = session.run(["sum", "embedding"], Grids().collate(Grids().encode(ROWS)))
    assert sums.tolist() == [5.0, -26.0]
