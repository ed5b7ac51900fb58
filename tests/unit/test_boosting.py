"""Boosting from encoded rows to a graph: what scikit-learn says, whatever the columns are."""

from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import onnxruntime as ort
import pytest
import torch
from datasets import Dataset
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from boatyard import tasks
from boatyard.config.errors import UserError
from boatyard.config.schema import Model
from boatyard.inputs.table.boosting import Learner
from boatyard.inputs.table.models import build_backbone, export_graph
from boatyard.inputs.table.settings import Boosting
from boatyard.model import Network, Served
from boatyard.tasks.protocol import Target

pytestmark = pytest.mark.unit

SETTINGS = Boosting(max_iter=40, max_features=1.0, min_samples_leaf=3)
TRAINING, VALIDATION = 300, 80


class Settings(NamedTuple):
    dropout: float = 0.5


class Rows(NamedTuple):
    numbers: NDArray[np.float64]
    categories: NDArray[np.int64]

    def part(self, start: int, stop: int) -> "Rows":
        return Rows(self.numbers[start:stop], self.categories[start:stop])

    def encoded(self) -> Dataset:
        return Dataset.from_dict({name: part.tolist() for name, part in self._asdict().items()})

    @property
    def flat(self) -> NDArray[np.float64]:
        return np.concatenate([self.categories, self.numbers], axis=1)


def table(rows: int, seed: int = 0, levels: int = 9) -> Rows:
    random = np.random.default_rng(seed)
    numbers = random.normal(size=(rows, 3)) * [1, 1e9, 1e-9]
    numbers[random.random(numbers.shape) < 0.1] = np.nan
    return Rows(numbers, np.stack([random.integers(0, levels, rows), random.integers(0, 3, rows)], axis=1))


def prices(rows: Rows) -> NDArray[np.float64]:
    levels = np.random.default_rng(7).normal(size=1_000)
    return np.asarray(np.exp(12 + levels[rows.categories[:, 0]] + np.nan_to_num(rows.numbers[:, 0])))


def learner(rows: Rows, settings: Boosting = SETTINGS) -> Learner:
    return Learner(settings, rows.part(0, TRAINING).encoded(), rows.part(TRAINING, len(rows.numbers)).encoded(), seed=0)


def fitted(task: str, target: Target, rows: Rows, targets: NDArray[Any]) -> Network:
    training = tasks.training(task)
    fits = learner(rows)
    shape, state = fits.backbone(training.fit_estimates(fits, targets, target))
    backbone: Any = build_backbone(shape, None)
    backbone.load_state_dict(state)
    head: Any = training.build_head(backbone.width, training.head_shape(target, cast(Model, Settings())))
    head.read_estimates()
    return Network(backbone, head, {})


def answers(network: Network, names: list[str], rows: Rows, folder: Path) -> dict[str, NDArray[Any]]:
    """Of the graph, which answers as the module does."""
    example = {name: torch.from_numpy(part[:2]) for name, part in rows._asdict().items()}
    export_graph(Served(network), example, names, folder / "model.onnx")
    session = ort.InferenceSession(folder / "model.onnx")
    assert [node.name for node in session.get_outputs()] == names
    outputs = dict(zip(names, session.run(None, rows._asdict()), strict=True))
    ours = Served(network)(**{name: torch.from_numpy(part) for name, part in rows._asdict().items()})
    for name, expected in zip(names, ours, strict=True):
        assert outputs[name] == pytest.approx(expected.detach().numpy(), rel=2e-6, abs=1e-6)
    return outputs


def reference(kind: type, rows: Rows, targets: NDArray[Any]) -> Any:
    model = kind(**SETTINGS.model_dump(), early_stopping=True, random_state=0, categorical_features=[0, 1])
    training, validation = (part.flat for part in (rows.part(0, TRAINING), rows.part(TRAINING, len(targets))))
    return model.fit(training, targets[:TRAINING], X_val=validation, y_val=targets[TRAINING:])


def unseen(rows: Rows) -> Rows:
    """The same, with codes that no training row has."""
    strange = rows.categories.copy()
    strange[::3, 0] = 200
    strange[::5, 1] = 0
    return rows._replace(categories=strange)


@pytest.mark.parametrize("levels", [2, 9, 60, 254])
@pytest.mark.parametrize("log", [True, False])
def test_a_number_is_that_of_scikit_learn(levels: int, log: bool, tmp_path: Path) -> None:
    rows = table(TRAINING + VALIDATION, levels=levels)
    targets = prices(rows)
    learnt = np.log(targets) if log else targets
    target = {"log": log, "mean": learnt[:TRAINING].mean(), "std": learnt[:TRAINING].std()}
    network = fitted("regression", target, rows, targets)
    asked = unseen(table(500, seed=1, levels=levels))
    outputs = answers(network, ["value", "spread"], asked, tmp_path)
    model = reference(HistGradientBoostingRegressor, rows, (learnt - target["mean"]) / target["std"])
    expected = model.predict(asked.flat) * target["std"] + target["mean"]
    assert outputs["value"] == pytest.approx(np.exp(expected) if log else expected, rel=2e-6, abs=1e-6 * target["std"])
    assert (outputs["spread"] > 0).all()
    assert not any(weights.requires_grad for weights in network.parameters())


@pytest.mark.parametrize("kinds", [2, 3, 6])
def test_probabilities_are_those_of_scikit_learn(kinds: int, tmp_path: Path) -> None:
    rows = table(TRAINING + VALIDATION)
    bounds = np.quantile(prices(rows), np.linspace(0, 1, kinds + 1)[1:-1])
    targets = np.digitize(prices(rows), bounds)
    network = fitted("classification", {"labels": [*map(str, range(kinds))]}, rows, targets)
    asked = unseen(table(500, seed=1))
    outputs = answers(network, ["logits", "probabilities"], asked, tmp_path)
    expected = reference(HistGradientBoostingClassifier, rows, targets).predict_proba(asked.flat)
    assert outputs["probabilities"] == pytest.approx(expected, rel=2e-5, abs=2e-6)
    assert outputs["logits"].shape == (500, kinds)


def test_a_label_that_only_validation_has_is_unlikely(tmp_path: Path) -> None:
    rows = table(TRAINING + VALIDATION)
    targets = np.where(prices(rows) > np.median(prices(rows)), 3, 1)
    targets[-1] = 2
    network = fitted("classification", {"labels": ["a", "b", "c", "d"]}, rows, targets)
    probabilities = answers(network, ["logits", "probabilities"], rows, tmp_path)["probabilities"]
    assert probabilities[:, [0, 2]].max() < 0.1
    assert (probabilities.argmax(axis=1) == targets).mean() > 0.8


def test_one_label_is_refused() -> None:
    rows = table(TRAINING + VALIDATION)
    targets = np.zeros(TRAINING + VALIDATION, int)
    targets[-1] = 1
    with pytest.raises(UserError, match="the same target, all of them"):
        fitted("classification", {"labels": ["a", "b"]}, rows, targets)


def test_more_levels_than_there_are_bins_are_read_as_numbers(tmp_path: Path) -> None:
    rows = table(TRAINING + VALIDATION, levels=700)
    standard = np.log(prices(rows)) - 12
    network = fitted("regression", {"log": True, "mean": 12.0, "std": 1.0}, rows, prices(rows))
    value = answers(network, ["value", "spread"], rows, tmp_path)["value"]
    assert np.corrcoef(np.log(value), standard)[0, 1] > 0.6


def test_errors_are_those_of_rows_that_were_held_out() -> None:
    rows = table(TRAINING + VALIDATION)
    noise = np.random.default_rng(3).normal(size=TRAINING + VALIDATION)
    fits = learner(rows)
    seen = fits.fit("squared_error", noise).of(fits._rows)[:, 0]
    held_out = fits.held_out("squared_error", noise)[:, 0]
    assert np.corrcoef(seen[:TRAINING], noise[:TRAINING])[0, 1] > 0.4
    assert abs(np.corrcoef(held_out, noise)[0, 1]) < 0.2


def test_the_spread_is_wider_where_rows_vary_more(tmp_path: Path) -> None:
    rows = table(TRAINING + VALIDATION)
    noise = np.random.default_rng(3).normal(size=TRAINING + VALIDATION)
    loud = rows.categories[:, 1] == 0
    targets = noise * np.where(loud, 3.0, 0.1)
    network = fitted("regression", {"log": False, "mean": 0.0, "std": 1.0}, rows, targets)
    spread = answers(network, ["value", "spread"], rows, tmp_path)["spread"]
    assert np.median(spread[loud]) > 5 * np.median(spread[~loud])


@pytest.mark.parametrize("columns", ["numbers", "categories"])
def test_a_table_may_lack_either_kind_of_column(columns: str, tmp_path: Path) -> None:
    rows = table(TRAINING + VALIDATION)
    targets = prices(rows)
    only = rows._replace(**{columns: getattr(rows, columns)[:, :0]})
    network = fitted("regression", {"log": True, "mean": 12.0, "std": 1.0}, only, targets)
    example = {name: torch.from_numpy(part[:2]) for name, part in only._asdict().items()}
    export_graph(Served(network), example, ["value", "spread"], tmp_path / "model.onnx")
    session = ort.InferenceSession(tmp_path / "model.onnx")
    feeds = {node.name: only._asdict()[node.name] for node in session.get_inputs()}
    ours = Served(network)(**{name: torch.from_numpy(part) for name, part in only._asdict().items()})
    assert session.run(["value"], feeds)[0] == pytest.approx(ours[0].detach().numpy(), rel=2e-6)
