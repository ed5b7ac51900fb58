"""A linear head over the labels, and how well it does on validation."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.metrics import f1_score
from sklearn.svm import LinearSVC
from torch import Tensor, nn
from torch.nn import functional

from boatyard.config.schema import Model
from boatyard.inputs.training_protocol import Learner
from boatyard.tasks.protocol import Target

log = logging.getLogger(__name__)

SMOOTHED = True

_MOST_FITTED = 1_000_000_000  # labels times the features that are not 0: a minute
_COST = 0.3  # of the linear model: in cross-validation better than 1 on long texts, and as good on short ones
_SPREAD = 8.0  # how far apart logits start: the softmax is decided where a row is at its class and open between two


class ClassificationHead(nn.Module):
    """Features to logits, by which transformers' label smoothing finds them.

    `sums`: how many of the features are those of a linear model; they come last.
    """

    def __init__(self, width: int, classes: int, dropout: float, sums: int = 0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width - sums, classes)
        self.sums = nn.Linear(sums, classes, bias=False) if sums else None

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """`logits`, float[batch, classes]."""
        own = self.linear.in_features
        logits = self.linear(self.dropout(features[:, :own]))
        return {"logits": logits if self.sums is None else logits + self.sums(features[:, own:])}

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

    def widen(
        self, mixing: NDArray[np.float64], intercepts: NDArray[np.float64], features: Tensor, targets: Tensor
    ) -> None:
        """The weighted sum of both logits under which validation rows are likeliest (stacking, Wolpert 1992).

        So the network's temperature is set too. Where rows are few, both weights stay near 1.
        """
        own = self.linear.in_features
        weight, bias = self.linear.weight.detach().cpu().double(), self.linear.bias.detach().cpu().double()
        others, start = torch.from_numpy(mixing.T), torch.from_numpy(intercepts)
        deep, wide = features[:, :own].double() @ weight.T + bias, features[:, own:].double() @ others.T + start
        of_deep, of_wide = _stacked(deep, wide, targets)
        device = self.linear.weight.device
        self.linear = _linear(of_deep * weight, of_deep * bias + of_wide * start).to(device)
        self.sums = _linear(of_wide * others, None).to(device)

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
    return ClassificationHead(width, **shape)


def fit_linear(
    features: csr_array, targets: NDArray[Any], target: Target, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A linear support vector classifier: of two labels, half the distance for one is half against the other.

    Where all rows would take too long, it is fitted on an even share of each label's. One that has none is said no to.
    """
    labels, rows = len(target["labels"]), len(targets)
    if (fits := _MOST_FITTED * rows // max(1, labels * features.nnz)) < rows:
        log.info("train: counted words are weighed on %s of %s rows, as there are %d labels", fits, rows, labels)
        some = np.argsort(targets, kind="stable")[np.linspace(0, rows - 1, max(1, fits)).astype(int)]
        features, targets = features[some], targets[some]
    weights, intercepts = np.zeros((features.shape[1], labels)), np.full(labels, -1.0)
    known = np.unique(targets)
    if len(known) > 1:
        fitted = LinearSVC(C=_COST, random_state=seed).fit(features, targets)
        of_known, starts = fitted.coef_.T, fitted.intercept_
        if len(known) == 2:
            of_known, starts = np.hstack([-of_known, of_known]) / 2, np.concatenate([-starts, starts]) / 2
        weights[:, known], intercepts[known] = of_known, starts
    return weights, intercepts


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


def _stacked(deep: Tensor, wide: Tensor, targets: Tensor) -> tuple[float, float]:
    """The weights of both logits, float64[rows, classes]."""
    logs = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([logs], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        of_deep, of_wide = logs.exp()
        unlikely = functional.cross_entropy(of_deep * deep + of_wide * wide, targets)
        total: Tensor = unlikely + logs.square().sum() / len(targets)
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    of_deep, of_wide = logs.detach().exp().tolist()
    return of_deep, of_wide


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.load_state_dict({"weight": weight} if bias is None else {"weight": weight, "bias": bias})
    return layer


def _kl_divergence(logarithms: Tensor, from_: Tensor) -> Tensor:
    """Of log-probabilities [batch, classes], the mean over the batch."""
    return functional.kl_div(logarithms, from_, log_target=True, reduction="batchmean")
