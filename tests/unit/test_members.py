"""A backbone of several members: each learns from its own errors, and their mean is served."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from transformers import TrainingArguments

from boatyard import tasks
from boatyard.config.schema import Model
from boatyard.model import Network, Served
from boatyard.train.checkpoints import Checkpoints
from boatyard.train.trainer import SteadyTrainer

pytestmark = pytest.mark.unit

MEMBERS, WIDTH = 3, 4
TARGETS: dict[str, Any] = {
    "classification": {"labels": ["berth", "fuel"]},
    "regression": {"mean": 5.0, "std": 2.0, "log": False},
}
ANSWERS = {"classification": torch.tensor([0, 1, 1, 0, 1]), "regression": torch.arange(5.0)}


class Settings:
    """As far as a head reads `model`."""

    dropout = 0.0


class Several(nn.Linear):
    members, width = MEMBERS, WIDTH

    def __init__(self) -> None:
        super().__init__(2, MEMBERS * WIDTH)

    def forward(self, rows: Tensor) -> Tensor:
        return super().forward(rows).unflatten(1, (MEMBERS, WIDTH))


class One(nn.Module):
    """A member by itself."""

    width = WIDTH

    def __init__(self, several: Several, member: int) -> None:
        super().__init__()
        self.several, self.member = several, member

    def forward(self, rows: Tensor) -> Tensor:
        features: Tensor = self.several(rows)[:, self.member]
        return features


def networks(task: str) -> tuple[Network, list[Network]]:
    """The whole, and each of its members as a network."""
    torch.manual_seed(0)
    several = Several()
    training = tasks.training(task)
    head = training.build_head(WIDTH, training.head_shape(TARGETS[task], cast(Model, Settings())))
    return Network(several, head, {}), [Network(One(several, member), head, {}) for member in range(MEMBERS)]


@pytest.fixture
def rows() -> Tensor:
    return torch.randn(5, 2, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("task", TARGETS)
def test_in_training_the_loss_is_the_mean_of_the_members_own(task: str, rows: Tensor) -> None:
    whole, members = networks(task)
    losses = [member(rows=rows, labels=ANSWERS[task])["loss"].item() for member in members]
    assert whole(rows=rows, labels=ANSWERS[task])["loss"].item() == pytest.approx(sum(losses) / MEMBERS, rel=1e-5)


@pytest.mark.parametrize("task", TARGETS)
def test_a_row_s_members_lie_beside_each_other_in_training_and_one_answer_is_left_afterwards(
    task: str, rows: Tensor
) -> None:
    whole, members = networks(task)
    each = whole(rows=rows)
    mean = whole.eval()(rows=rows)
    for name, answers in each.items():
        own = torch.stack([member(rows=rows)[name] for member in members], 1)
        assert torch.allclose(answers, own.flatten(0, 1))
        assert torch.allclose(mean[name], own.mean(1))


@pytest.mark.parametrize("task", TARGETS)
def test_what_is_served_is_the_mean_of_what_members_would_serve(task: str, rows: Tensor) -> None:
    whole, members = networks(task)
    served, own = Served(whole)(rows), [Served(member)(rows) for member in members]
    assert len(served) == len(tasks.serving(task).OUTPUTS) + 1
    for number, output in enumerate(served):
        assert torch.allclose(output, torch.stack([each[number] for each in own]).mean(0), atol=1e-6)
    assert served[-1].shape == (5, WIDTH)


def test_in_training_each_answer_has_the_target_of_its_row() -> None:
    whole, members = networks("regression")
    assert whole.targets(torch.tensor([1.0, 2.0])).tolist() == [1, 1, 1, 2, 2, 2]
    assert whole.eval().targets(torch.tensor([1.0, 2.0])).tolist() == [1, 2]
    assert members[0].targets(torch.tensor([1.0, 2.0])).tolist() == [1, 2]


def trainer(network: Network, folder: Path, *, smoothing: float = 0.0, r_drop: float = 0.0) -> SteadyTrainer:
    return SteadyTrainer(
        model=network,
        args=TrainingArguments(
            output_dir=str(folder),
            use_cpu=True,
            label_smoothing_factor=smoothing,
            label_names=["labels"],
            report_to="none",
        ),
        checkpoints=cast(Checkpoints, None),
        describe_rows=str,
        layer_decay=1.0,
        r_drop=r_drop,
        average=0.0,
        by_epoch=SimpleNamespace(epoch=0),
    )


def test_smoothed_targets_are_each_member_s(rows: Tensor, tmp_path: Path) -> None:
    whole, members = networks("classification")

    def loss(network: Network) -> float:
        batch = {"rows": rows, "labels": ANSWERS["classification"]}
        value: float = trainer(network.train(), tmp_path, smoothing=0.5).compute_loss(network, batch).item()
        return value

    smoothed = [loss(member) for member in members]
    assert loss(whole) == pytest.approx(sum(smoothed) / MEMBERS, rel=1e-5)
    assert smoothed[0] != smoothed[1]


def test_two_readings_are_compared_member_by_member(rows: Tensor, tmp_path: Path) -> None:
    whole, _ = networks("regression")
    whole.head.dropout.p = 0.5
    batch = {"rows": rows, "labels": ANSWERS["regression"]}
    training = trainer(whole.train(), tmp_path, r_drop=1.0)
    torch.manual_seed(0)
    loss = training.compute_loss(whole, dict(batch)).item()
    torch.manual_seed(0)
    twice = whole(**{name: torch.cat([tensor, tensor]) for name, tensor in batch.items()})
    first, second = ({name: twice[name].chunk(2)[i] for name in twice if name != "loss"} for i in (0, 1))
    divergence = whole.head.divergence(first, second)
    assert divergence > 0.01
    assert loss == pytest.approx((twice["loss"] + divergence).item(), rel=1e-5)
