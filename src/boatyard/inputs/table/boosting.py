"""Gradient boosting, fitted at once: scikit-learn's HistGradientBoosting on rows as the graph reads them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from torch import Tensor, nn

from boatyard.config.errors import UserError
from boatyard.inputs.table.columns import CATEGORIES, NUMBERS
from boatyard.inputs.table.settings import Boosting
from boatyard.inputs.table.trees import Tree, Trees, joined, shape_of
from boatyard.inputs.training_protocol import Loss

if TYPE_CHECKING:
    from datasets import Dataset

_MOST_CODES = 255  # as many as there are bins for a column's values
_FOLDS = 3

Numbers = NDArray[np.float64]


class Backbone(nn.Module):
    """Trees, whose scores are the features: a head that reads them as they are has nothing to learn."""

    embeds = False

    def __init__(self, shape: Mapping[str, int]) -> None:
        super().__init__()
        self.trees = Trees(shape)
        self.width = self.trees.scores

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """float64[batch, columns], NaN for what is missing; int64[batch, columns], code 0 for what is not known."""
        scores: Tensor = self.trees(torch.cat([categories.double(), numbers], 1))
        return scores.float()


@dataclass(frozen=True)
class Estimate:
    """Scores, each by itself: the trees' places are among these."""

    trees: list[Tree]
    start: list[float]

    def of(self, rows: Numbers) -> Numbers:
        """float64[rows, scores]."""
        state = joined(self.trees, self.start)
        trees = Trees(shape_of(state))
        trees.load_state_dict(state)
        parts = np.array_split(rows, len(rows) // 1_000 + 1)
        return np.concatenate([trees(torch.from_numpy(part)).numpy() for part in parts])


class Learner:
    """Fits on training rows, until the loss on those of validation has ceased to fall."""

    def __init__(self, settings: Boosting, training: "Dataset", validation: "Dataset", seed: int) -> None:
        self._settings = settings
        self._seed = seed
        self._learnt_from = len(training)
        codes, numbers = (
            np.concatenate([_matrix(rows, name) for rows in (training, validation)]) for name in (CATEGORIES, NUMBERS)
        )
        self._rows = np.concatenate([codes, numbers], axis=1)
        highest = codes.max(axis=0, initial=0)
        self._categories = np.flatnonzero(highest < _MOST_CODES)  # the others' codes are read as numbers
        others = np.setdiff1d(np.arange(self._rows.shape[1]), self._categories)
        self._order = np.concatenate([self._categories, others])

    def fit(self, loss: Loss, targets: NDArray[Any], kinds: int = 1) -> Estimate:
        """See `boatyard.inputs.training_protocol.Learner`."""
        return self._fit(loss, targets, kinds, np.arange(self._learnt_from))

    def held_out(self, loss: Loss, targets: NDArray[Any], kinds: int = 1) -> Numbers:
        """See `boatyard.inputs.training_protocol.Learner`: of folds, of which each row of training is in one."""
        fold = np.random.default_rng(self._seed).permutation(self._learnt_from) % _FOLDS
        answers = np.zeros((len(self._rows), kinds))
        for left_out in range(_FOLDS):
            estimate = self._fit(loss, targets, kinds, np.flatnonzero(fold != left_out))
            rows = np.flatnonzero(fold == left_out)
            answers[rows] = estimate.of(self._rows[rows])
            answers[self._learnt_from :] += estimate.of(self._rows[self._learnt_from :]) / _FOLDS
        return answers

    def backbone(self, estimates: Sequence[Estimate]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """See `boatyard.inputs.training_protocol.Learner`."""
        start = [score for estimate in estimates for score in estimate.start]
        state = joined(list(_numbered(estimates)), start)
        return shape_of(state), {f"trees.{name}": tensor for name, tensor in state.items()}

    def _fit(self, loss: Loss, targets: NDArray[Any], kinds: int, rows: NDArray[np.int64]) -> Estimate:
        held = np.arange(self._learnt_from, len(self._rows))
        settings = {
            **self._settings.model_dump(),
            "categorical_features": range(len(self._categories)) if len(self._categories) else None,
            "random_state": self._seed,
        }
        if loss == "log_loss":
            seen = np.unique(targets[rows])
            if len(seen) < 2:
                raise UserError("the training rows have the same target, all of them: there is nothing to learn")
            held = held[np.isin(targets[held], seen)]
            boosting = HistGradientBoostingClassifier(**settings, early_stopping=len(held) > 0)
        else:
            boosting = HistGradientBoostingRegressor(loss=loss, **settings, early_stopping=len(held) > 0)
        boosting.fit(
            self._rows[np.ix_(rows, self._order)],
            targets[rows],
            X_val=self._rows[np.ix_(held, self._order)] if len(held) else None,
            y_val=targets[held] if len(held) else None,
        )
        return self._estimate(boosting, kinds)

    def _estimate(self, boosting: Any, kinds: int) -> Estimate:
        """What scikit-learn has fitted, of which it makes the predictors public in no other way."""
        baseline = np.ravel(boosting._baseline_prediction)
        start = np.zeros(kinds)
        if kinds == 1:
            scores = [0]
        else:  # of two kinds, the second has a score, over the 0 of the first
            seen = boosting.classes_.tolist()
            start[:] = -np.log(len(self._rows))  # a kind that no row has is rarer than if one had it
            start[seen] = 0
            scores = seen if len(seen) > 2 else seen[1:]
        start[scores] = baseline
        trees = [
            self._tree(boosting, tree, score)
            for iteration in boosting._predictors
            for score, tree in zip(scores, iteration, strict=True)
        ]
        return Estimate(trees, start.tolist())

    def _tree(self, boosting: Any, tree: Any, score: int) -> Tree:
        """By the rows' own columns and codes: scikit-learn counts only the codes that it saw."""
        nodes = tree.nodes.copy()
        split = np.flatnonzero(nodes["is_categorical"])
        sets = np.zeros((len(split), _MOST_CODES), bool)
        if len(split):
            codes_seen = boosting._preprocessor.named_transformers_["encoder"].categories_
            members = np.unpackbits(tree.raw_left_cat_bitsets.view(np.uint8), axis=1, bitorder="little")
            for node in nodes[split]:
                seen = codes_seen[node["feature_idx"]].astype(np.int64)
                row = sets[node["bitset_idx"]]
                row[:] = node["missing_go_to_left"]  # the way of what it never saw
                row[seen] = members[node["bitset_idx"], : len(seen)]
        nodes["feature_idx"] = self._order[nodes["feature_idx"]]
        return Tree(nodes, sets, score)


def _numbered(estimates: Sequence[Estimate]) -> Iterator[Tree]:
    """The trees of them all, by the places of the scores among all."""
    first = 0
    for estimate in estimates:
        yield from (replace(tree, score=first + tree.score) for tree in estimate.trees)
        first += len(estimate.start)


def _matrix(rows: "Dataset", column: str) -> Numbers:
    """float64[rows, numbers of the column's lists]."""
    lists = rows.with_format("arrow")[:][column]
    flat: Numbers = lists.combine_chunks().flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    return flat.reshape(len(rows), -1)
