"""The moving average of weights, which is what is validated, kept and gone on from."""

from pathlib import Path
from types import SimpleNamespace

import torch

from boatyard.train.averaging import Average


def network(value: float) -> torch.nn.Module:
    made = torch.nn.BatchNorm1d(1)
    torch.nn.init.constant_(made.weight, value)
    return made


def weight(made: torch.nn.Module) -> float:
    return float(made.state_dict()["weight"])


def step(average: Average, number: int) -> None:
    average.on_step_end(None, SimpleNamespace(global_step=number), None)


def test_it_follows_closely_at_first_and_then_leaves_what_it_should() -> None:
    made = network(0.0)
    average = Average(made, 0.9)
    torch.nn.init.constant_(made.weight, 1.0)
    step(average, 10)
    with average.in_place():
        assert weight(made) == 0.5
    assert weight(made) == 1.0, "the network goes on from its own weights"
    step(average, 10_000)
    average.settle()
    assert round(weight(made), 6) == 0.55


def test_a_run_that_is_resumed_goes_on_with_its_average(tmp_path: Path) -> None:
    made = network(0.0)
    average = Average(made, 0.9)
    average.write(tmp_path)
    other = Average(network(7.0), 0.9)
    other.read(tmp_path)
    other.settle()
    assert weight(other._network) == 0.0
    late = Average(network(7.0), 0.9)
    late.read(tmp_path / "none")  # its checkpoint is older than the setting
    late.settle()
    assert weight(late._network) == 7.0
