"""A linear head to one number, learnt on standardised targets, and how well it does on validation."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from boatyard.config.schema import Model
from boatyard.tasks.protocol import Target

SMOOTHED = False

_RIDGE = 0.1  # the penalty, in units of the features' mean variance


class RegressionHead(nn.Module):
    """Features to a value. Whatever the target's unit, the linear layer answers with numbers around 0, some 1 wide."""

    mean: Tensor
    std: Tensor

    def __init__(self, width: int, dropout: float, mean: float = 0.0, std: float = 1.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, 1)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """`value`, float[batch], in the target's unit."""
        return {"value": self.linear(self.dropout(features)).squeeze(-1) * self.std + self.mean}

    def loss(self, raw: Mapping[str, Tensor], targets: Tensor) -> Tensor:
        """Huber's, on the standardised scale: past one standard deviation an outlier, such as a misplaced decimal
        point, pulls no harder, where a squared error would let it outweigh its whole batch.
        """
        return functional.huber_loss(self._standardised(raw["value"]), self._standardised(targets))

    def served(self, raw: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """The value."""
        return (raw["value"],)

    def divergence(self, first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> Tensor:
        """The squared difference, on the standardised scale."""
        return functional.mse_loss(self._standardised(first["value"]), self._standardised(second["value"]))

    @torch.no_grad()
    def start_at(self, features: Tensor, targets: Tensor) -> None:
        """Ridge regression in closed form."""
        inputs, answers = features.double(), ((targets - self.mean.cpu()) / self.std.cpu()).double()
        middle, level = inputs.mean(0), answers.mean()
        covariance = (inputs - middle).T @ (inputs - middle) / len(inputs)
        penalty = _RIDGE * covariance.diagonal().mean().clamp(min=1e-12)
        moments = (inputs - middle).T @ (answers - level) / len(inputs)
        weights = torch.linalg.solve(covariance + penalty * torch.eye(len(middle), dtype=torch.float64), moments)
        self.linear.weight.copy_(weights.unsqueeze(0))
        self.linear.bias.copy_(level - weights @ middle)

    def _standardised(self, values: Tensor) -> Tensor:
        return (values - self.mean) / self.std


def head_shape(target: Target, model: Model) -> dict[str, Any]:
    """The target's `mean`, around which answers start, and its `std`, as far apart as they are."""
    return {"dropout": model.dropout, "mean": target["mean"], "std": target["std"] or 1.0}


def build_head(width: int, shape: Mapping[str, Any]) -> RegressionHead:
    """With random weights."""
    return RegressionHead(width, **shape)


def tensor(targets: Sequence[Any]) -> Tensor:
    """float32[batch], in the target's unit."""
    return torch.as_tensor(targets, dtype=torch.float32)


def validation_scores(raw: NDArray[Any], targets: NDArray[Any]) -> dict[str, float]:
    """Of values, [rows]."""
    errors = raw.astype(np.float64) - targets
    return {
        "mean_absolute_error": float(np.abs(errors).mean()),
        "root_mean_squared_error": float(np.sqrt(np.square(errors).mean())),
    }
