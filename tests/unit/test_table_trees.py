"""Trees as they are served: scikit-learn's answers to the last digits, wherever a number lies."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from boatyard.inputs.graphs import write_graph
from boatyard.inputs.table.trees import OPSETS, Tree, Trees, joined, shape_of

pytestmark = pytest.mark.unit

Rows = NDArray[np.float64]


def table(seed: int, rows: int = 300, missing: float = 0.1) -> Rows:
    """Columns as real tables have them: of any scale, rounded, of large integers, nearly constant."""
    random = np.random.default_rng(seed)
    normal = random.normal(size=(rows, 6))
    columns = [
        normal[:, 0],
        np.exp(normal[:, 1] * 20),
        np.round(normal[:, 2], 1),
        2.0**24 + random.integers(0, 50, rows),  # a float32 has only the even ones
        1.7e9 + normal[:, 4],  # seconds since 1970
        normal[:, 5] * 1e-310,  # denormal
    ]
    cells = np.stack(columns, axis=1)
    cells[random.random(cells.shape) < missing] = np.nan
    return cells


def answers(rows: Rows) -> Rows:
    total: Rows = np.nansum(np.tanh((rows - np.nanmedian(rows, 0)) / (np.nanstd(rows, 0) + 1e-320)), axis=1)
    return total + np.isnan(rows[:, 0])


def trees_of(fitted: Any) -> Trees:
    no_sets = np.zeros((0, 0), bool)
    trees = [Tree(tree.nodes, no_sets, place) for each in fitted._predictors for place, tree in enumerate(each)]
    state = joined(trees, np.ravel(fitted._baseline_prediction).tolist())
    module = Trees(shape_of(state))
    module.load_state_dict(state)
    return module


def graph_of(module: Trees, columns: int, file: Path) -> Callable[[Rows], Rows]:
    write_graph(module, {"rows": torch.zeros(2, columns, dtype=torch.float64)}, ["scores"], file, opsets=OPSETS)
    session = ort.InferenceSession(file)
    return lambda rows: session.run(None, {"rows": rows})[0]


def boosting(**settings: Any) -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(**{"max_iter": 60, "min_samples_leaf": 3, "early_stopping": False, **settings})


def beside_thresholds(fitted: Any, rows: Rows) -> Rows:
    """For each split a row that lies on its threshold, the next number below and the next above; and extremes."""
    hard: list[Rows] = []
    for (tree,) in fitted._predictors:
        for node in tree.nodes[tree.nodes["is_leaf"] == 0]:
            for number in (node["num_threshold"], *np.nextafter(node["num_threshold"], [-np.inf, np.inf])):
                row = rows[len(hard) % len(rows)].copy()
                row[node["feature_idx"]] = number
                hard.append(row)
    for number in (0.0, -0.0, 5e-324, 1.8e308, -1.8e308, 2.0**53 + 2, np.nan):
        hard += [np.where(np.arange(rows.shape[1]) == column, number, rows[0]) for column in range(rows.shape[1])]
    return np.array(hard)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("missing", [0.0, 0.1, 0.6])
def test_module_and_graph_answer_as_scikit_learn_does(seed: int, missing: float, tmp_path: Path) -> None:
    rows = table(seed, missing=missing)
    fitted = boosting(max_iter=20).fit(rows, answers(rows))
    asked = np.concatenate([rows, table(seed + 100, missing=0.2), beside_thresholds(fitted, rows)])
    expected = fitted.predict(asked)
    module = trees_of(fitted)
    assert module(torch.from_numpy(asked))[:, 0].numpy() == pytest.approx(expected, rel=1e-12, abs=1e-13)
    scores = graph_of(module, rows.shape[1], tmp_path / "trees.onnx")(asked)
    assert scores.dtype == np.float64
    assert scores[:, 0] == pytest.approx(expected, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_each_score_has_its_own_trees(classes: int, tmp_path: Path) -> None:
    rows = table(1)
    targets = np.digitize(answers(rows), np.quantile(answers(rows), np.linspace(0, 1, classes + 1)[1:-1]))
    fitted = HistGradientBoostingClassifier(max_iter=20, early_stopping=False).fit(rows, targets)
    scores = graph_of(trees_of(fitted), rows.shape[1], tmp_path / "trees.onnx")(rows)
    expected = fitted.decision_function(rows).reshape(len(rows), -1)
    assert scores == pytest.approx(expected, rel=1e-12, abs=1e-13)


def test_a_row_is_answered_alone_as_among_others(tmp_path: Path) -> None:
    rows = table(2)
    graph = graph_of(trees_of(boosting(max_iter=200).fit(rows, answers(rows))), rows.shape[1], tmp_path / "trees.onnx")
    together = graph(rows)
    alone = np.concatenate([graph(rows[place : place + 1]) for place in range(50)])
    assert alone == pytest.approx(together[:50], rel=1e-13, abs=1e-14)


@pytest.mark.parametrize("settings", [{"max_leaf_nodes": 2}, {"min_samples_leaf": 200}], ids=["stumps", "no split"])
def test_a_tree_may_be_as_small_as_a_leaf(settings: dict[str, Any], tmp_path: Path) -> None:
    rows = table(3)
    fitted = boosting(**settings).fit(rows, answers(rows))
    module = trees_of(fitted)
    scores = graph_of(module, rows.shape[1], tmp_path / "trees.onnx")(rows)
    for ours in (scores, module(torch.from_numpy(rows)).numpy()):
        assert ours[:, 0] == pytest.approx(fitted.predict(rows), rel=1e-12, abs=1e-13)


def test_trees_are_restored_from_shape_and_weights() -> None:
    rows = table(4)
    module = trees_of(boosting().fit(rows, answers(rows)))
    restored = Trees(shape_of(module.state_dict()))
    restored.load_state_dict(module.state_dict())
    assert torch.equal(restored(torch.from_numpy(rows)), module(torch.from_numpy(rows)))
    assert not [name for name, weights in module.named_parameters() if weights.requires_grad]
