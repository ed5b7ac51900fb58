"""Fitted gradient boosting as a torch module, which is exported as one operator: ONNX's TreeEnsemble.

It computes in float64, as it is fitted: a number lies on the side of each threshold on which it lay in training,
whatever the column's unit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

OPSETS = {"ai.onnx.ml": 5}
"""Of the operator."""

# TreeEnsemble's numbers for how to add up, how to transform the sum, and how to split
_SUM, _AS_IT_IS, _AT_MOST, _ONE_OF = 1, 0, 0, 6


@dataclass(frozen=True)
class Tree:
    """One of scikit-learn's.

    Attributes:
        nodes: as HistGradientBoosting has them, the root first.
        sets: bool[sets, codes], those codes of a category that go to the left; nodes name a set by `bitset_idx`.
        score: the place of the score that it adds to.
    """

    nodes: NDArray[Any]
    sets: NDArray[np.bool_]
    score: int


class Trees(nn.Module):
    """Rows of numbers to scores, each the sum of what its trees say.

    A node that splits has one to its `left`, for numbers up to the threshold or for the codes in its set, and one to
    its `right`; a leaf leads to itself. `shape`: how many there are of each.
    """

    column: Tensor
    left: Tensor
    right: Tensor
    missing_left: Tensor
    set: Tensor
    sets: Tensor
    root: Tensor
    score: Tensor
    start: Tensor

    def __init__(self, shape: Mapping[str, int]) -> None:
        super().__init__()
        nodes, trees, self.scores = shape["nodes"], shape["trees"], shape["scores"]
        sizes = {**dict.fromkeys(("column", "left", "right", "set"), nodes), "root": trees, "score": trees}
        for name, size in sizes.items():
            self.register_buffer(name, torch.zeros(size, dtype=torch.int64))
        self.register_buffer("missing_left", torch.zeros(nodes, dtype=torch.bool))
        self.register_buffer("sets", torch.zeros(shape["sets"], shape["codes"], dtype=torch.bool))
        self.register_buffer("start", torch.zeros(self.scores, dtype=torch.float64))
        self.threshold = nn.Parameter(torch.zeros(nodes, dtype=torch.float64), requires_grad=False)
        self.value = nn.Parameter(torch.zeros(nodes, dtype=torch.float64), requires_grad=False)

    def forward(self, rows: Tensor) -> Tensor:
        """float64[batch, columns], NaN where a number is missing, to float64[batch, scores]."""
        added = _Operator.apply(rows, self) if torch.onnx.is_in_onnx_export() else self._added(rows)
        return self.start + added

    def _added(self, rows: Tensor) -> Tensor:
        node = self.root.expand(len(rows), -1)
        while True:
            number = rows.gather(1, self.column[node])
            is_left = torch.where(number.isnan(), self.missing_left[node], number <= self.threshold[node])
            if len(self.sets):
                code = number.nan_to_num().clamp(0, self.sets.shape[1] - 1).long()
                set_ = self.set[node]
                is_left = torch.where(set_ < 0, is_left, self.sets[set_, code])
            below = torch.where(is_left, self.left[node], self.right[node])
            if torch.equal(below, node):
                break
            node = below
        return rows.new_zeros(len(rows), self.scores).index_add(1, self.score, self.value[node])

    def operator(self) -> dict[str, Any]:
        """The attributes of ONNX's TreeEnsemble, named and suffixed as torch's exporter wants them.

        It counts nodes that split and leaves apart, and wants the members of sets one after another, each set closed
        by NaN.
        """
        leaf = self.left == torch.arange(len(self.left))
        split = ~leaf
        place = torch.where(leaf, leaf.cumsum(0), split.cumsum(0)) - 1
        left, right, set_ = self.left[split], self.right[split], self.set[split]
        tree = torch.searchsorted(self.root, leaf.nonzero()[:, 0], right=True) - 1  # of each leaf
        attributes = {
            "n_targets_i": self.scores,
            "aggregate_function_i": _SUM,
            "post_transform_i": _AS_IT_IS,
            "tree_roots_i": place[self.root].tolist(),
            "nodes_featureids_i": self.column[split].tolist(),
            "nodes_modes_t": torch.where(set_ < 0, _AT_MOST, _ONE_OF).to(torch.uint8),
            "nodes_splits_t": self.threshold.detach()[split],
            "nodes_missing_value_tracks_true_i": self.missing_left[split].long().tolist(),
            "nodes_truenodeids_i": place[left].tolist(),
            "nodes_trueleafs_i": leaf[left].long().tolist(),
            "nodes_falsenodeids_i": place[right].tolist(),
            "nodes_falseleafs_i": leaf[right].long().tolist(),
            "leaf_targetids_i": self.score[tree].tolist(),
            "leaf_weights_t": self.value.detach()[leaf],
        }
        if len(self.sets):
            members = [[*self.sets[index].nonzero()[:, 0].tolist(), torch.nan] for index in set_[set_ >= 0]]
            attributes["membership_values_t"] = torch.tensor([*chain(*members)], dtype=torch.float64)
        return attributes


class _Operator(torch.autograd.Function):
    """The trees as the exporter writes them; it wants an answer, whatever it is."""

    @staticmethod
    def forward(context: Any, rows: Tensor, trees: Trees) -> Tensor:  # noqa: ARG004 - torch's signature
        return rows.new_zeros(rows.shape[0], trees.scores)

    @staticmethod
    def symbolic(graph: Any, rows: Any, trees: Trees) -> Any:
        added = graph.op("ai.onnx.ml::TreeEnsemble", rows, **trees.operator())
        return added.setType(rows.type().with_sizes([None, trees.scores]))


def joined(trees: Sequence[Tree], start: Sequence[float]) -> dict[str, Tensor]:
    """The state of `Trees`. `start`: of each score, to what its trees add."""
    grown = [tree.nodes if len(tree.nodes) > 1 else _split(tree.nodes) for tree in trees]
    root = _starts(grown)
    node = np.concatenate(grown)
    first = np.repeat(root, [len(nodes) for nodes in grown])
    first_set = np.repeat(_starts([tree.sets for tree in trees]), [len(nodes) for nodes in grown])
    own, leaf = np.arange(len(node)), node["is_leaf"] == 1
    codes = max(tree.sets.shape[1] for tree in trees)
    arrays = {
        "column": node["feature_idx"].astype(np.int64),
        "threshold": node["num_threshold"],
        "missing_left": node["missing_go_to_left"] == 1,
        "left": np.where(leaf, own, first + node["left"]),
        "right": np.where(leaf, own, first + node["right"]),
        "set": np.where(node["is_categorical"] == 1, first_set + node["bitset_idx"], -1),
        "sets": np.concatenate([np.pad(tree.sets, ((0, 0), (0, codes - tree.sets.shape[1]))) for tree in trees]),
        "value": np.where(leaf, node["value"], 0.0),
        "root": root,
        "score": np.array([tree.score for tree in trees], np.int64),
        "start": np.array(start, np.float64),
    }
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


def shape_of(state: Mapping[str, Tensor]) -> dict[str, int]:
    """Of `Trees` with that state."""
    sets, codes = state["sets"].shape
    sizes = {"nodes": "column", "trees": "root", "scores": "start"}
    return {**{each: len(state[name]) for each, name in sizes.items()}, "sets": sets, "codes": codes}


def _starts(parts: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """Where each begins, once they are one after another."""
    return np.cumsum([0, *(len(part) for part in parts)], dtype=np.int64)[:-1]


def _split(leaf: NDArray[Any]) -> NDArray[Any]:
    """A tree that is one leaf, where nothing was left to split, as one with a leaf to either side."""
    nodes = leaf.repeat(3)
    nodes["is_leaf"][0] = False
    nodes["left"], nodes["right"] = 1, 2
    return nodes
