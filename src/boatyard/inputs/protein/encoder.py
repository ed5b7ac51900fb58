"""Sequences to numbers of residues as training stores them, and those to batches."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from boatyard.config.schema import Data, Model
from boatyard.inputs.pretrained import digest_of_start  # noqa: F401 - for `training`
from boatyard.inputs.protein.serving import KNOWN_WORDS, LEAST_LENGTH, ProteinInput, Row, limits
from boatyard.inputs.protein.words import known_words

if TYPE_CHECKING:
    from torch import Tensor

COST_UNIT = "residues"

_FACTS = "inputs.json"


def make_inputs(model: Model, data: Data, rows: Iterable[Row], folder: Path) -> None:  # noqa: ARG001 - every input's
    """Write the limits under which a sequence is read, and the words of these: drift is seen by them."""
    np.save(folder / KNOWN_WORDS, known_words(sequence for sequence, _ in rows))
    (folder / _FACTS).write_text(json.dumps(limits(model)), encoding="utf-8")


def open_encoder(folder: Path) -> ProteinEncoder:
    """By what `make_inputs` wrote."""
    facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
    return ProteinEncoder(ProteinInput(facts["max_residues"], np.load(folder / KNOWN_WORDS)))


class ProteinEncoder:
    """Encodes with the very code that serves, so that training sees what serving sees."""

    def __init__(self, served: ProteinInput) -> None:
        self._served = served

    def encode(self, rows: Sequence[Row]) -> dict[str, pa.Array]:
        """Arrow columns with an entry for each row: residues, and cost in residues."""
        encoded = self._served.encode(rows)
        costs = np.fromiter((row.cost for row in encoded), np.int32, len(encoded))
        offsets = np.concatenate([[0], np.cumsum(costs)]).astype(np.int32)
        flat = np.concatenate([np.zeros(0, np.uint8), *(row.residues for row in encoded)])
        return {"residues": pa.ListArray.from_arrays(offsets, flat), "cost": pa.array(costs)}

    def collate(self, items: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """A batch, filled up to its longest row: int64[rows, residues]."""
        import torch

        batch = torch.zeros(
            len(items), max(LEAST_LENGTH, *(len(item["residues"]) for item in items)), dtype=torch.int64
        )
        for line, item in zip(batch, items, strict=True):
            line[: len(item["residues"])] = torch.as_tensor(item["residues"])
        return {"residues": batch}
