"""The heads of both tasks: where they start, what they learn, and how far apart two readings are."""

import json
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.svm import LinearSVC
from torch import Tensor, nn

from boatyard import tasks
from boatyard.config.errors import UserError
from boatyard.config.schema import Model
from boatyard.tasks.protocol import TrainingTask
from boatyard.train.metric import metric, primary

pytestmark = pytest.mark.unit

WIDTH = 6
TARGETS: dict[str, dict[str, Any]] = {
    "classification": {"labels": ["berth", "fuel", "repair"]},
    "regression": {"log": False, "mean": 250_000.0, "std": 40_000.0},
}


class Settings:
    """As far as a head reads `model`."""

    dropout = 0.0


def task(name: str) -> TrainingTask:
    return tasks.training(name)


def new_head(name: str, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return built(name, TARGETS[name])


def built(name: str, target: dict[str, Any]) -> Any:
    return task(name).build_head(WIDTH, task(name).head_shape(target, cast(Model, Settings())))


def features(rows: int) -> Tensor:
    return torch.randn(rows, WIDTH, generator=torch.Generator().manual_seed(1)) + 3


def prices(of: Tensor) -> Tensor:
    """A line, in a unit of its own."""
    slope = torch.tensor([3.0, -2.0, 1.0, 0.5, 0.0, 1.0])
    return 250_000 + 10_000 * ((of - 3) @ slope)


@pytest.mark.parametrize("name", ["classification", "regression"])
def test_a_head_is_restored_from_its_shape_and_weights(name: str) -> None:
    head = new_head(name)
    shape = json.loads(json.dumps(task(name).head_shape(TARGETS[name], cast(Model, Settings()))))
    restored: Any = task(name).build_head(WIDTH, shape)
    restored.load_state_dict(head.state_dict())
    for ours, theirs in zip(head.served(head(features(4))), restored.served(restored(features(4))), strict=True):
        assert torch.equal(ours, theirs)


def widened(name: str, noise: float) -> tuple[Any, Tensor, Tensor, float]:
    """A head that knows nothing, with sums that tell all but the noise; what it reads, the targets, its loss before."""
    head, read = new_head(name), features(300)
    chance = torch.Generator().manual_seed(3)
    if name == "classification":
        targets = torch.arange(300) % 3
        known = 4 * torch.nn.functional.one_hot(targets, 3).float()
    else:
        targets = prices(read)
        known = ((targets - 250_000) / 40_000).unsqueeze(1)
    known = known + noise * torch.randn(known.shape, generator=chance)
    before = head.loss(head(read), targets).item()
    sums = known.shape[1]
    head.widen(np.eye(sums), np.zeros(sums), torch.cat([read, known], 1), targets)
    return head, torch.cat([read, known], 1), targets, before


@pytest.mark.parametrize("name", ["classification", "regression"])
def test_a_widened_head_follows_sums_that_tell_and_no_others(name: str) -> None:
    head, read, targets, before = widened(name, noise=0.1)
    assert head.loss(head(read), targets).item() < before / 2
    head, read, targets, before = widened(name, noise=100.0)
    assert head.loss(head(read), targets).item() < 1.1 * before


def counted_rows(rows: int = 300) -> tuple[csr_array, NDArray[np.int64]]:
    """A feature for each label, and 4 that say nothing."""
    chance, targets = np.random.default_rng(0), np.arange(rows) % 3
    return csr_array(np.hstack([np.eye(3)[targets], chance.random((rows, 4))])), targets


def right(weights: NDArray[np.float64], intercepts: NDArray[np.float64]) -> float:
    rows, targets = counted_rows()
    return float(((rows @ weights + intercepts).argmax(1) == targets).mean())


@pytest.mark.parametrize("fits", [285, 90, 6])
def test_many_rows_of_many_labels_are_weighed_by_some_of_each(
    fits: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rows, targets = counted_rows()
    fitted_on: list[int] = []
    fit = LinearSVC.fit
    monkeypatch.setattr("boatyard.tasks.classification.head._MOST_FITTED", fits * 3 * rows.nnz // 300)
    monkeypatch.setattr(LinearSVC, "fit", lambda own, some, of: fitted_on.append(len(of)) or fit(own, some, of))  # type: ignore[func-returns-value]
    with caplog.at_level("INFO"):
        linear = task("classification").fit_linear(rows, targets, TARGETS["classification"], seed=1)
    assert linear is not None
    assert right(*linear) == 1
    assert fitted_on == [fits]
    assert f"on {fits} of 300 rows" in caplog.text


@pytest.mark.parametrize("kept", [{0, 2}, {1}])
def test_a_label_without_a_row_is_said_no_to(kept: set[int]) -> None:
    rows, targets = counted_rows()
    some = np.isin(targets, [*kept])
    linear = task("classification").fit_linear(rows[some], targets[some], TARGETS["classification"], seed=1)
    assert linear is not None
    answers = rows @ linear[0] + linear[1]
    assert (answers[:, [label for label in range(3) if label not in kept]] == -1).all()
    if len(kept) > 1:
        assert (answers.argmax(1)[some] == targets[some]).all()


@pytest.mark.parametrize("name", ["classification", "regression"])
def test_a_widened_head_is_restored_from_its_shape_and_weights(name: str) -> None:
    head, read, _, _ = widened(name, noise=0.1)
    shape = task(name).head_shape(TARGETS[name], cast(Model, Settings())) | {"sums": read.shape[1] - WIDTH}
    restored: Any = task(name).build_head(read.shape[1], shape)
    restored.load_state_dict(head.state_dict())
    for ours, theirs in zip(head.served(head(read)), restored.served(restored(read)), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", ["classification", "regression"])
def test_every_output_that_is_served_has_a_row_for_each_input_row(name: str) -> None:
    head = new_head(name)
    served = head.served(head(features(4)))
    assert len(served) == len(tasks.serving(name).OUTPUTS)
    assert all(len(output) == 4 for output in served)


def test_a_fitted_classifier_starts_where_the_labels_lie() -> None:
    head, targets = new_head("classification"), torch.arange(90) % 3
    offsets = 4 * torch.eye(3, WIDTH)
    head.start_at(read := features(90) + offsets[targets], targets)
    assert task("classification").validation_scores(head(read)["logits"].detach().numpy(), targets.numpy()) == {
        "accuracy": 1.0,
        "macro_f1": 1.0,
    }
    assert head(read)["logits"].mean(0).detach().numpy() == pytest.approx(np.zeros(3), abs=1e-4), "no label leads"


def test_a_fitted_regression_starts_at_the_line_through_the_targets() -> None:
    head, read = new_head("regression"), features(500)
    head.start_at(read, prices(read))
    values = head(read)["value"].detach().numpy()
    error = task("regression").validation_scores(values, prices(read).numpy())["mean_absolute_error"]
    assert error < 0.1 * float(prices(read).std())
    assert values.mean() == pytest.approx(float(prices(read).mean()), rel=1e-3)


def test_features_that_are_all_the_same_start_a_regression_at_the_mean() -> None:
    head = new_head("regression")
    head.start_at(torch.ones(20, WIDTH), torch.linspace(200_000, 300_000, 20))
    assert head(torch.ones(1, WIDTH))["value"].item() == pytest.approx(250_000, rel=1e-3)


def test_a_regression_learns_a_line_whatever_the_unit() -> None:
    head, read = new_head("regression"), features(200)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        head.loss(head(read), prices(read)).backward()
        optimizer.step()
    assert (head(read)["value"] - prices(read)).abs().mean() < 4_000


def test_an_outlier_pulls_no_harder_than_a_row_one_deviation_off() -> None:
    def pull(error: float) -> float:
        standard = torch.tensor([0.0], requires_grad=True)
        raw = {"standard": standard, "log_spread": torch.zeros(1)}
        new_head("regression").loss(raw, torch.tensor([250_000 + error])).backward()
        assert standard.grad is not None
        return float(standard.grad.abs())

    assert pull(4e9) == pytest.approx(pull(40_000.0))
    assert pull(10_000.0) == pytest.approx(pull(40_000.0) / 4)


def test_a_target_that_never_varies_makes_no_number_infinite() -> None:
    head: Any = built("regression", {"log": False, "mean": 5.0, "std": 0.0})
    assert torch.isfinite(head.loss(head(features(3)), torch.full((3,), 5.0)))


def test_a_regression_learns_how_far_off_it_is_without_moving_its_values_for_it() -> None:
    head, read = new_head("regression"), features(400)
    noise = torch.randn(400, generator=torch.Generator().manual_seed(2)) * 40_000 * read[:, 0].abs() / 3
    optimizer = torch.optim.Adam(head.spread.parameters(), lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        raw = head(read)
        targets = raw["value"].detach() + noise
        head.loss(raw, targets).backward()
        optimizer.step()
    _, spread = (output.detach() for output in head.served(head(read)))
    calm, wild = read[:, 0] < 2.5, read[:, 0] > 3.5
    assert spread[wild].mean() / spread[calm].mean() == pytest.approx(
        float(noise[wild].abs().mean() / noise[calm].abs().mean()), rel=0.2
    )
    of_spread = torch.randn(8, WIDTH, requires_grad=True)
    head(of_spread)["log_spread"].sum().backward()
    assert of_spread.grad is None


def test_targets_that_are_learnt_as_logarithms_are_answered_in_their_unit() -> None:
    head: Any = built("regression", {"log": True, "mean": 12.0, "std": 0.4})
    read = features(300)
    targets = torch.exp(12 + 0.1 * (read - 3).sum(1))
    head.start_at(read, targets)
    value, spread = head.served(head(read))
    assert (value / targets).log().abs().max() < 0.1
    assert 0 < spread.max() < 0.1, "on the scale of the logarithms"
    assert torch.isfinite(head(1e9 * read)["value"]).all()


def test_a_price_is_as_exact_as_its_type_allows() -> None:
    head = built("regression", {"log": True, "mean": 12.7, "std": 0.4})
    exact = built("regression", {"log": True, "mean": 12.7, "std": 0.4}).double()
    exact.load_state_dict(head.double().state_dict())
    given = features(1000)
    served, expected = head.float()(given)["value"].double(), exact(given.double())["value"]
    assert ((served - expected).abs() / expected).max() < 5e-7


@pytest.mark.parametrize("name", ["classification", "regression"])
def test_divergence_is_none_between_equal_readings_and_the_same_both_ways(name: str) -> None:
    head = new_head(name)
    first, second = head(features(5)), new_head(name, seed=1)(features(5))
    assert head.divergence(first, first).item() == pytest.approx(0, abs=1e-6)
    assert head.divergence(first, second).item() == pytest.approx(head.divergence(second, first).item(), rel=1e-5)
    assert head.divergence(first, second).item() > 0


def test_a_divergence_does_not_depend_on_the_unit() -> None:
    weights = nn.Linear(WIDTH, 1).state_dict()

    def divergence(mean: float, std: float) -> float:
        head: Any = built("regression", {"log": False, "mean": mean, "std": std})
        head.linear.load_state_dict(weights)
        return float(head.divergence(head(features(5)), head(features(5) + 1)).detach())

    assert divergence(0.0, 1.0) == pytest.approx(divergence(9e5, 3e4), rel=1e-3)


def test_errors_on_validation_are_in_the_targets_unit() -> None:
    scores = task("regression").validation_scores(np.array([1.0, 5.0], np.float32), np.array([1.0, 1.0], np.float32))
    assert scores == {"mean_absolute_error": 2.0, "root_mean_squared_error": pytest.approx(8**0.5)}


@pytest.mark.parametrize(
    ("name", "asked", "higher_is_better"),
    [
        ("classification", "score", True),
        ("classification", "macro_f1", True),
        ("classification", "loss", False),
        ("regression", "score", False),
        ("regression", "root_mean_squared_error", False),
    ],
)
def test_a_metric_knows_where_better_lies(name: str, asked: str, higher_is_better: bool) -> None:
    chosen = metric(name, asked, "sweep.metric")
    assert chosen.higher_is_better is higher_is_better
    assert chosen.direction == ("maximize" if higher_is_better else "minimize")
    if asked == "score":
        assert chosen == primary(name)


def test_a_metric_that_the_task_does_not_measure_is_refused_by_the_key() -> None:
    with pytest.raises(
        UserError, match=r"^sweep\.metric=accuracy: .*mean_absolute_error, root_mean_squared_error, loss"
    ):
        metric("regression", "accuracy", "sweep.metric")
