"""A linear head over the labels, and how well it does on validation."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from torch import Tensor, nn
from torch.nn import functional

from boatyard.config.schema import Model
from boatyard.inputs.protocol import Learner
from boatyard.tasks.protocol import Target

SMOOTHED = True

_SPREAD = 8.0  # how far apart logits start: the softmax is decided where a row is at its class and open between two


class ClassificationHead(nn.Module):
    """Features to logits, by which transformers' label smoothing finds them."""

    def __init__(self, width: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, classes)

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """`logits`, float[batch, classes]."""
        return {"logits": self.linear(self.dropout(features))}

    def loss(self, raw: Mapping[str, Tensor], targets: Tensor) -> Tensor:
        """Cross-entropy."""
        return functional.cross_entropy(raw["logits"], targets)

    def served(self, raw: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """The logits and the probabilities."""
        return raw["logits"], raw["logits"].softmax(-1)

    def divergence(self, first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> Tensor:
        """Kullback and Leibler's, the mean of both directions (R-Drop, Liang et al. 2021)."""
        ours, theirs = (raw["logits"].log_softmax(-1) for raw in (first, second))
        return (_kl_divergence(ours, theirs) + _kl_divergence(theirs, ours)) / 2

    @torch.no_grad()
    def start_at(self, features: Tensor, targets: Tensor) -> None:
        """The nearest-centroid classifier: prototypes as in Snell et al. 2017, directions only.

        A pretrained backbone then need not bend to a random head in its first steps, which costs it some of what it
        knows.
        """
        middle = features.mean(0)
        sums = torch.zeros(self.linear.weight.shape).index_add_(0, targets, features - middle)
        spread = _SPREAD / (features - middle).norm(dim=1).mean()
        directions = functional.normalize(sums, dim=1) * spread
        self.linear.weight.copy_(directions)
        self.linear.bias.copy_(-directions @ middle)

    @torch.no_grad()
    def read_estimates(self) -> None:
        """The features are the logits."""
        nn.init.eye_(self.linear.weight)
        self.linear.bias.zero_()
        self.requires_grad_(False)


def head_shape(target: Target, model: Model) -> dict[str, Any]:
    """One class for each of the target's labels."""
    return {"classes": len(target["labels"]), "dropout": model.dropout}


def build_head(width: int, shape: Mapping[str, Any]) -> ClassificationHead:
    """With random weights."""
    return ClassificationHead(width, shape["classes"], shape["dropout"])


def fit_estimates(learner: Learner, targets: NDArray[Any], target: Target) -> list[Any]:
    """The logits."""
    return [learner.fit("log_loss", targets, len(target["labels"]))]


def tensor(targets: Sequence[Any]) -> Tensor:
    """int64[batch]: the places of the labels."""
    return torch.as_tensor(targets, dtype=torch.int64)


def validation_scores(raw: NDArray[Any], targets: NDArray[Any]) -> dict[str, float]:
    """Of logits, [rows, classes]."""
    predicted = raw.argmax(-1)
    return {
        "accuracy": float((predicted == targets).mean()),
        "macro_f1": float(f1_score(targets, predicted, average="macro", zero_division=0)),
    }


def _kl_divergence(logarithms: Tensor, from_: Tensor) -> Tensor:
    """Of log-probabilities [batch, classes], the mean over the batch."""
    return functional.kl_div(logarithms, from_, log_target=True, reduction="batchmean")
