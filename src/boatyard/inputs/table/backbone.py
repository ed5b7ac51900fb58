"""The table backbone: TabM (Gorishniy et al. 2025), as many networks as it has members that share most weights.

Its arguments are what a row has: numbers as they are, missing ones included, and codes of categories. Everything that
is done to them is done here, and so in the graph that is served.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from boatyard.config.errors import UserError
from boatyard.config.schema import Model
from boatyard.inputs.table import numbers
from boatyard.inputs.table.columns import read_columns
from boatyard.inputs.table.settings import table_model


class NumberEmbeddings(nn.Module):
    """Each number to a vector that changes linearly from one of its column's knots to the next (Gorishniy et al. 2022).

    Beyond the first and the last knot it stays. Beside the vectors are the numbers' normal scores: a layer takes up
    those sooner than what an embedding has to learn first. `learnt`: see `boatyard.inputs.table.numbers`.
    """

    median: Tensor
    left: Tensor
    length: Tensor
    lowest: Tensor
    rise: Tensor
    flagged: Tensor

    def __init__(self, learnt: Mapping[str, Sequence[Any]], width: int) -> None:
        super().__init__()
        columns, bins = len(learnt["knots"]), max(1, *(len(knots) - 1 for knots in learnt["knots"]))
        left, length, rise = torch.zeros(3, columns, bins, dtype=torch.float64)
        length += torch.inf  # where a column has fewer bins: every number is at the start of such a one
        for column, (knots, scores) in enumerate(zip(learnt["knots"], learnt["scores"], strict=True)):
            at, score = torch.tensor(knots, dtype=torch.float64), torch.tensor(scores, dtype=torch.float64)
            left[column, : len(at[1:])] = at[:-1]
            length[column, : len(at[1:])] = at.diff()
            rise[column, : len(at[1:])] = score.diff()
        lowest = torch.tensor([scores[0] if scores else 0.0 for scores in learnt["scores"]])
        flagged = torch.tensor(learnt["flagged"]).nonzero().squeeze(-1)
        median = torch.tensor(learnt["median"], dtype=torch.float64)
        constants = {"median": median, "left": left, "length": length, "flagged": flagged}
        for name, tensor in {**constants, "lowest": lowest, "rise": rise.float()}.items():
            self.register_buffer(name, tensor, persistent=False)
        self.slope = nn.Parameter(torch.empty(columns, width).uniform_(-(width**-0.5), width**-0.5))
        self.start = nn.Parameter(torch.empty(columns, width).uniform_(-(width**-0.5), width**-0.5))
        self.bends = nn.Parameter(torch.zeros(columns, bins, width))  # at first each is a line over normal scores
        self.widths = [width] * columns + [1] * columns + [1] * len(flagged)

    def forward(self, numbers: Tensor) -> Tensor:
        """float64[batch, columns], NaN where one is missing, to float32[batch, sum(widths)].

        In float64 until a number's place in its bin is known: that lies between 0 and 1, whatever the column's unit.
        """
        missing = numbers.isnan()
        present = torch.where(missing, self.median, numbers).unsqueeze(-1)
        passed = ((present - self.left) / self.length).clamp(0, 1).float()  # of each bin the share below the number
        scores = self.lowest + (passed * self.rise).sum(-1)
        bent = torch.matmul(passed.transpose(0, 1), self.bends).transpose(0, 1)
        embedded = bent + scores.unsqueeze(-1) * self.slope + self.start
        return torch.cat([embedded.flatten(1), scores, missing[:, self.flagged].float()], 1)


class CategoryEmbeddings(nn.Embedding):
    """Each code to a vector, all columns from one table. `levels`: of each column the codes there are, 0 included."""

    before: Tensor

    def __init__(self, levels: Sequence[int], width: int) -> None:
        super().__init__(sum(levels), width)
        before = torch.tensor([0, *levels[:-1]]).cumsum(0)
        with torch.no_grad():
            self.weight[before] = 0  # what training rows never lack has no say where it is not known
        self.register_buffer("before", before, persistent=False)
        self.widths = [width] * len(levels)

    def forward(self, categories: Tensor) -> Tensor:
        """int64[batch, columns] to float32[batch, columns * width]."""
        return super().forward(categories + self.before).flatten(1)


class MembersLinear(nn.Module):
    """A linear layer for each member: one matrix, with inputs and outputs scaled by member (Wen et al. 2020)."""

    def __init__(self, inputs: int, outputs: int, members: int) -> None:
        super().__init__()
        shared = nn.Linear(inputs, outputs)
        self.weight = shared.weight
        self.bias = nn.Parameter(shared.bias.detach().repeat(members, 1))
        self.scale_in = nn.Parameter(torch.ones(members, inputs))
        self.scale_out = nn.Parameter(torch.ones(members, outputs))

    def forward(self, features: Tensor) -> Tensor:
        """[batch, members or 1, inputs] to [batch, members, outputs]."""
        return ((features * self.scale_in) @ self.weight.T) * self.scale_out + self.bias


class Backbone(nn.Module):
    """Numbers and codes to features, float[batch, members, width]. `shape`: see `backbone_shape`."""

    def __init__(self, shape: Mapping[str, Any]) -> None:
        super().__init__()
        self.members: int = shape["members"]
        self.width: int = shape["width"]
        embedding = shape["embedding_width"]
        self.numbers = NumberEmbeddings(shape["numbers"], embedding) if shape["numbers"]["knots"] else None
        self.categories = CategoryEmbeddings(shape["levels"], embedding) if shape["levels"] else None
        widths = [width for each in (self.numbers, self.categories) if each is not None for width in each.widths]
        first = MembersLinear(sum(widths), self.width, self.members)
        # at first, members differ by how they weigh columns
        weighed = torch.randn(self.members, len(widths)).repeat_interleave(torch.tensor(widths), 1)
        first.scale_in = nn.Parameter(weighed)
        others = [MembersLinear(self.width, self.width, self.members) for _ in range(shape["layers"] - 1)]
        self.layers = nn.ModuleList([first, *others])
        self.dropout = nn.Dropout(shape["dropout"])

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """float64[batch, columns], NaN for what is missing; int64[batch, columns], code 0 for what is not known."""
        embedded = [self.numbers(numbers)] if self.numbers is not None else []
        if self.categories is not None:
            embedded.append(self.categories(categories))
        features = torch.cat(embedded, 1).unsqueeze(1)
        for layer in self.layers:
            features = self.dropout(functional.silu(layer(features)))
        return features


def backbone_shape(model: Model, folder: Path) -> dict[str, Any]:
    """The settings, and what was learnt of the columns: `columns.json` and `numbers.json` in the folder."""
    network = table_model(model).network
    assert network is not None  # else the learner of boosting has the shape
    return {
        **network.model_dump(exclude={"bins"}),
        "dropout": model.dropout,
        "numbers": json.loads((folder / numbers.FILE).read_text(encoding="utf-8")),
        "levels": read_columns(folder).cardinalities,
    }


def build_backbone(shape: Mapping[str, Any], start: str | None) -> Backbone:
    """With random weights. Raises UserError where it should start from others."""
    if start is not None:
        raise UserError(f"model.name={start}: a network for tables starts from random weights; leave it null")
    return Backbone(shape)
