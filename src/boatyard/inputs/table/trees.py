"""Fitted gradient boosting as a torch module, which is exported as one operator: ONNX's TreeEnsemble.

It computes in float64, as it is fitted: a number lies on the side of each threshold on which it lay in training,
whatever the column's unit.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Nodes = NDArray[Any]
"""Of one tree, the root first, as scikit-learn's HistGradientBoosting has them."""

OPSETS = {"ai.onnx.ml": 5}
"""Of the operator."""

_SUM, _AS_IT_IS, _AT_MOST = 1, 0, 0  # TreeEnsemble's numbers for how to add up, to transform, and to split


class Trees(nn.Module):
    """Rows of numbers to scores, each the sum of what its trees say.

    A node that splits has one to its `left`, for numbers up to the threshold, and one to its `right`; a leaf leads to
    itself. `shape`: how many nodes, trees and scores there are.
    """

    column: Tensor
    missing_left: Tensor
    left: Tensor
    right: Tensor
    root: Tensor
    score: Tensor
    start: Tensor

    def __init__(self, shape: Mapping[str, int]) -> None:
        super().__init__()
        nodes, trees, self.scores = shape["nodes"], shape["trees"], shape["scores"]
        for name, size in {"column": nodes, "left": nodes, "right": nodes, "root": trees, "score": trees}.items():
            self.register_buffer(name, torch.zeros(size, dtype=torch.int64))
        self.register_buffer("missing_left", torch.zeros(nodes, dtype=torch.bool))
        self.threshold = nn.Parameter(torch.zeros(nodes, dtype=torch.float64), requires_grad=False)
        self.value = nn.Parameter(torch.zeros(nodes, dtype=torch.float64), requires_grad=False)
        self.register_buffer("start", torch.zeros(self.scores, dtype=torch.float64))

    def forward(self, rows: Tensor) -> Tensor:
        """float64[batch, columns], NaN where a number is missing, to float64[batch, scores]."""
        added = _Operator.apply(rows, self) if torch.onnx.is_in_onnx_export() else self._added(rows)
        return self.start + added

    def _added(self, rows: Tensor) -> Tensor:
        node = self.root.expand(len(rows), -1)
        while True:
            number = rows.gather(1, self.column[node])
            is_left = torch.where(number.isnan(), self.missing_left[node], number <= self.threshold[node])
            below = torch.where(is_left, self.left[node], self.right[node])
            if torch.equal(below, node):
                break
            node = below
        return rows.new_zeros(len(rows), self.scores).index_add(1, self.score, self.value[node])

    def operator(self) -> dict[str, Any]:
        """The attributes of ONNX's TreeEnsemble, named and suffixed as torch's exporter wants them.

        It counts nodes that split and leaves apart.
        """
        leaf = self.left == torch.arange(len(self.left))
        split = ~leaf
        place = torch.where(leaf, leaf.cumsum(0), split.cumsum(0)) - 1
        left, right = self.left[split], self.right[split]
        tree = torch.searchsorted(self.root, leaf.nonzero()[:, 0], right=True) - 1  # of each leaf
        return {
            "n_targets_i": self.scores,
            "aggregate_function_i": _SUM,
            "post_transform_i": _AS_IT_IS,
            "tree_roots_i": place[self.root].tolist(),
            "nodes_featureids_i": self.column[split].tolist(),
            "nodes_modes_t": torch.full((int(split.sum()),), _AT_MOST, dtype=torch.uint8),
            "nodes_splits_t": self.threshold.detach()[split],
            "nodes_missing_value_tracks_true_i": self.missing_left[split].long().tolist(),
            "nodes_truenodeids_i": place[left].tolist(),
            "nodes_trueleafs_i": leaf[left].long().tolist(),
            "nodes_falsenodeids_i": place[right].tolist(),
            "nodes_falseleafs_i": leaf[right].long().tolist(),
            "leaf_targetids_i": self.score[tree].tolist(),
            "leaf_weights_t": self.value.detach()[leaf],
        }


class _Operator(torch.autograd.Function):
    """The trees as the exporter writes them; it wants an answer, whatever it is."""

    @staticmethod
    def forward(context: Any, rows: Tensor, trees: Trees) -> Tensor:  # noqa: ARG004 - torch's signature
        return rows.new_zeros(rows.shape[0], trees.scores)

    @staticmethod
    def symbolic(graph: Any, rows: Any, trees: Trees) -> Any:
        added = graph.op("ai.onnx.ml::TreeEnsemble", rows, **trees.operator())
        return added.setType(rows.type().with_sizes([None, trees.scores]))


def joined(trees: Sequence[tuple[Nodes, int]], start: Sequence[float]) -> dict[str, Tensor]:
    """The state of `Trees`, of each tree with the place of the score that it adds to, and what each score starts from.

    A tree that is one leaf, where nothing was left to split, is made one with a leaf to either side.
    """
    grown = [nodes if len(nodes) > 1 else _split(nodes) for nodes, _ in trees]
    sizes = [len(nodes) for nodes in grown]
    root = np.cumsum([0, *sizes], dtype=np.int64)[:-1]
    node = np.concatenate(grown)
    first, own, leaf = np.repeat(root, sizes), np.arange(len(node)), node["is_leaf"] == 1
    arrays = {
        "column": node["feature_idx"].astype(np.int64),
        "threshold": node["num_threshold"],
        "missing_left": node["missing_go_to_left"] == 1,
        "left": np.where(leaf, own, first + node["left"]),
        "right": np.where(leaf, own, first + node["right"]),
        "value": np.where(leaf, node["value"], 0.0),
        "root": root,
        "score": np.array([score for _, score in trees], np.int64),
        "start": np.array(start, np.float64),
    }
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


def shape_of(state: Mapping[str, Tensor]) -> dict[str, int]:
    """Of `Trees` with that state."""
    return {"nodes": len(state["column"]), "trees": len(state["root"]), "scores": len(state["start"])}


def _split(leaf: Nodes) -> Nodes:
    nodes = leaf.repeat(3)
    nodes["is_leaf"][0] = False
    nodes["left"], nodes["right"] = 1, 2
    return nodes
