"""A linear head to one number and the size of its error, and how well it does on validation."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.sparse import csr_array
from sklearn.linear_model import Ridge
from torch import Tensor, nn
from torch.nn import functional

from boatyard.config.schema import Model
from boatyard.inputs.training_protocol import Learner
from boatyard.tasks.protocol import Target
from boatyard.tasks.regression.interval import SMALLEST, learnt

SMOOTHED = False

_RIDGE = 0.1  # the penalty, in units of the features' mean variance
_FARTHEST_LOG = 45.0  # from the mean of logarithms: that of the largest target is 35, and e to their sum a float32
_LARGEST_LOG_SPREAD = 7.0


class RegressionHead(nn.Module):
    """Features to a value. Whatever the target's unit, the linear layer answers with numbers around 0, some 1 wide.

    `log`: the targets' logarithms are learnt; `mean` and `std` are theirs. The spread learns from the features without
    shaping them: the value is as good as it would be alone. `sums`: how many of the features are those of a linear
    model; they come last, and have a say in the value alone.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, width: int, dropout: float, log: bool, mean: float = 0.0, std: float = 1.0, sums: int = 0
    ) -> None:
        super().__init__()
        self.log = log
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width - sums, 1)
        self.sums = nn.Linear(sums, 1, bias=False) if sums else None
        self.spread = nn.Linear(width - sums, 1)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """float[batch] each: `value` in the target's unit, and as standardised `standard` and `log_spread`."""
        own = self.dropout(features[:, : self.linear.in_features])
        standard = self.linear(own).squeeze(-1)
        if self.sums is not None:
            standard = standard + self.sums(features[:, self.linear.in_features :]).squeeze(-1)
        # a float32 has more decimals near 0 than near a price's logarithm
        scaled = standard * self.std
        return {
            "value": scaled.clamp(-_FARTHEST_LOG, _FARTHEST_LOG).exp() * self.mean.exp()
            if self.log
            else scaled + self.mean,
            "standard": standard,
            "log_spread": self.spread(own.detach()).squeeze(-1).clamp(-_LARGEST_LOG_SPREAD, _LARGEST_LOG_SPREAD),
        }

    def loss(self, raw: Mapping[str, Tensor], targets: Tensor) -> Tensor:
        """Huber's, on the standardised scale: past one standard deviation an outlier, such as a misplaced decimal
        point, pulls no harder, where a squared error would let it outweigh its whole batch. Of the spread the
        likelihood of errors that are Laplace-distributed.
        """
        standard, log_spread = self._standardised(targets), raw["log_spread"]
        errors = (raw["standard"].detach() - standard).abs()
        return functional.huber_loss(raw["standard"], standard) + (log_spread + errors * (-log_spread).exp()).mean()

    def served(self, raw: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """The value, and the spread on the scale of `mean` and `std`."""
        return raw["value"], raw["log_spread"].exp() * self.std

    def divergence(self, first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> Tensor:
        """The squared difference, on the standardised scale."""
        return functional.mse_loss(first["standard"], second["standard"])

    @torch.no_grad()
    def start_at(self, features: Tensor, targets: Tensor) -> None:
        """Ridge regression in closed form, with one spread for all rows."""
        inputs, answers = features.double(), self._standardised(targets.to(self.mean.device)).cpu().double()
        middle, level = inputs.mean(0), answers.mean()
        covariance = (inputs - middle).T @ (inputs - middle) / len(inputs)
        penalty = _RIDGE * covariance.diagonal().mean().clamp(min=1e-12)
        moments = (inputs - middle).T @ (answers - level) / len(inputs)
        weights = torch.linalg.solve(covariance + penalty * torch.eye(len(middle), dtype=torch.float64), moments)
        self.linear.weight.copy_(weights.unsqueeze(0))
        self.linear.bias.copy_(level - weights @ middle)
        errors = ((inputs - middle) @ weights + level - answers).abs().mean()
        nn.init.zeros_(self.spread.weight)
        self.spread.bias.copy_(errors.clamp(min=1e-6).log())

    @torch.no_grad()
    def widen(
        self, mixing: NDArray[np.float64], intercepts: NDArray[np.float64], features: Tensor, targets: Tensor
    ) -> None:
        """The weighted sum of both values, no weight below 0, that is nearest to validation rows (Breiman 1996)."""
        own, device = self.linear.in_features, self.mean.device
        deep = self.linear(features[:, :own].to(device)).cpu().double().squeeze(-1)
        wide = features[:, own:].double() @ torch.from_numpy(mixing[:, 0]) + intercepts[0]
        answers = self._standardised(targets.to(device)).cpu().double()
        (of_deep, of_wide), _ = nnls(torch.stack([deep, wide], 1).numpy(), answers.numpy())
        self.linear.weight.mul_(of_deep)
        self.linear.bias.mul_(of_deep).add_(of_wide * float(intercepts[0]))
        self.sums = nn.Linear(len(mixing), 1, bias=False).to(device)
        self.sums.weight.copy_(torch.from_numpy(of_wide * mixing.T))

    @torch.no_grad()
    def read_estimates(self) -> None:
        """The first feature is the standardised value, the second the logarithm of its spread."""
        for layer, place in ((self.linear, 0), (self.spread, 1)):
            layer.weight.copy_(functional.one_hot(torch.tensor([place]), 2))
            layer.bias.zero_()
        self.requires_grad_(False)

    def _standardised(self, targets: Tensor) -> Tensor:
        return ((targets.clamp(min=SMALLEST).log() if self.log else targets) - self.mean) / self.std


def head_shape(target: Target, model: Model) -> dict[str, Any]:
    """Of what is learnt the `mean`, around which answers start, and the `std`, as far apart as they are."""
    std = target["std"] or 1.0
    return {"dropout": model.dropout, "log": target["log"], "mean": target["mean"], "std": std}


def build_head(width: int, shape: Mapping[str, Any]) -> RegressionHead:
    """With random weights."""
    return RegressionHead(width, **shape)


def fit_linear(
    features: csr_array, targets: NDArray[Any], target: Target, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """A ridge of the standardised values."""
    standard = (learnt(targets, target["log"]) - target["mean"]) / (target["std"] or 1.0)
    ridge = Ridge(random_state=seed).fit(features, standard)
    return ridge.coef_.reshape(-1, 1), np.array([ridge.intercept_])


def fit_estimates(learner: Learner, targets: NDArray[Any], target: Target) -> list[Any]:
    """The standardised value, and the logarithm of how far its estimate is off where a row is held out."""
    standard = (learnt(targets, target["log"]) - target["mean"]) / (target["std"] or 1.0)
    errors = np.abs(learner.held_out("squared_error", standard)[:, 0] - standard)
    return [learner.fit("squared_error", standard), learner.fit("gamma", np.maximum(errors, SMALLEST))]


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
