"""The protein backbone: a bag of residues and of words of them, each with a vector of its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from boatyard.config.schema import Model
from boatyard.inputs.defaults import (  # noqa: F401 - for `training`
    alternative,
    open_counted,
    open_learner,
    quantize_graph,
)
from boatyard.inputs.graphs import write_graph
from boatyard.inputs.protein.esm import EsmBackbone, build_esm, esm_shape
from boatyard.inputs.protein.sequences import OTHER, RESIDUES
from boatyard.inputs.protein.settings import protein_model

GROUPS = ("LVIM", "C", "A", "G", "ST", "P", "FYW", "EDNQ", "KRH")
"""Residues that often take each other's place (Murphy, Wallqvist and Levy 2000, with H among the basic ones)."""
_WORD, _WORD_OF_GROUPS = 3, 4
_LETTERS, _GROUPS = OTHER, len(GROUPS) + 1


class ProteinBackbone(nn.Module):
    """Numbers of residues to the sum of vectors, in proportion to the square root of the length, and a layer.

    Each residue has one, each word of three, and each word of four groups of like residues.
    """

    group_of: Tensor

    def __init__(self, *, word_width: int, width: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.residues = nn.Embedding(_LETTERS, word_width)
        self.words = nn.Embedding(_LETTERS**_WORD, word_width)
        self.words_of_groups = nn.Embedding(_GROUPS**_WORD_OF_GROUPS, word_width)
        self.norm = nn.LayerNorm(word_width)
        self.layer = nn.Linear(word_width, width)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("group_of", _group_of_residues(), persistent=False)
        for table in (self.residues, self.words, self.words_of_groups):
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, residues: Tensor) -> Tensor:
        """int64[batch, residues], filled up with 0, to float[batch, width]."""
        there = residues > 0
        letters = (residues - 1).clamp(min=0)
        summed = (
            self._sum(self.residues, letters, there, 1, _LETTERS)
            + self._sum(self.words, letters, there, _WORD, _LETTERS)
            + self._sum(self.words_of_groups, self.group_of[letters], there, _WORD_OF_GROUPS, _GROUPS)
        )
        length = there.sum(1, keepdim=True).clamp(min=1).to(summed.dtype)
        features: Tensor = self.layer(self.dropout(self.norm(summed / length.sqrt())))
        return nn.functional.gelu(features)

    def _sum(self, table: nn.Embedding, letters: Tensor, there: Tensor, length: int, base: int) -> Tensor:
        """Of all words of that length, none of which reaches beyond the sequence."""
        most = letters.shape[1] - length + 1
        numbers = letters[:, :most]
        for place in range(1, length):
            numbers = numbers * base + letters[:, place : place + most]
        inside = there[:, length - 1 :]
        vectors: Tensor
        if torch.onnx.is_in_onnx_export():  # ONNX has no operator that looks up and sums
            vectors = table(numbers)
            return (vectors * inside.unsqueeze(-1).to(vectors.dtype)).sum(1)
        ends = inside.sum(1).cumsum(0)
        starts = torch.cat([ends.new_zeros(1), ends[:-1]])
        return nn.functional.embedding_bag(numbers[inside], table.weight, starts, mode="sum")


def _group_of_residues() -> Tensor:
    """By residue, counted from 0, its group; what is none of the twenty is a group by itself."""
    places = [next(number for number, group in enumerate(GROUPS) if residue in group) for residue in RESIDUES]
    return torch.tensor([*places, len(GROUPS)])


def backbone_shape(model: Model, folder: Path) -> dict[str, Any]:  # noqa: ARG001 - every input's signature
    """By the section `model.protein`, or that of the ESM that `model.name` names. Raises UserError."""
    if model.name is not None:
        return {"esm": esm_shape(model.name)}
    return {"dropout": model.dropout, **protein_model(model).model_dump(include={"word_width", "width"})}


def build_backbone(shape: Mapping[str, Any], start: str | None) -> ProteinBackbone | EsmBackbone:
    """Of random weights, or with those of an ESM. Raises UserError."""
    return build_esm(shape["esm"], start) if "esm" in shape else ProteinBackbone(**shape)


def export_graph(network: nn.Module, example: Mapping[str, Tensor], outputs: Sequence[str], graph: Path) -> None:
    """Any number of residues is a batch."""
    write_graph(network, example, outputs, graph, varying={name: {1: "residues"} for name in example})
