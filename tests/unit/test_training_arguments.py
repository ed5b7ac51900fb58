"""TrainingArguments follow the task: what is best, which way is better, and whether targets are smoothed."""

from pathlib import Path

import pytest
import torch

from boatyard.config.compose import load_config
from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.train.arguments import training_arguments
from boatyard.train.devices import GIVEN

pytestmark = pytest.mark.unit


def config(task: str, *overrides: str) -> Config:
    rows = ("data=csv", "data.name=x", "data.path=rows.csv", "data.target=answer", f"data.task={task}")
    return load_config([*rows, "tracking=none", *overrides])


def test_the_best_checkpoint_is_that_of_the_tasks_own_score(tmp_path: Path) -> None:
    numbers = training_arguments(config("regression"), tmp_path)
    assert (numbers.metric_for_best_model, numbers.greater_is_better) == ("mean_absolute_error", False)
    named = training_arguments(config("classification"), tmp_path)
    assert (named.metric_for_best_model, named.greater_is_better) == ("accuracy", True)


def test_the_loss_is_better_where_it_is_lower_and_an_unknown_metric_is_refused(tmp_path: Path) -> None:
    by_loss = training_arguments(config("classification", "train.metric_for_best_model=loss"), tmp_path)
    assert (by_loss.metric_for_best_model, by_loss.greater_is_better) == ("loss", False)
    with pytest.raises(UserError, match=r"metric_for_best_model='accuracy': input should be 'score'"):
        training_arguments(config("regression", "train.metric_for_best_model=accuracy"), tmp_path)


def test_only_targets_that_can_be_smoothed_are(tmp_path: Path) -> None:
    smoothing = "train.label_smoothing_factor=0.2"
    assert training_arguments(config("classification", smoothing), tmp_path).label_smoothing_factor == 0.2
    assert training_arguments(config("regression", smoothing), tmp_path).label_smoothing_factor == 0


def test_rows_of_like_cost_are_evaluated_together(tmp_path: Path) -> None:
    assert training_arguments(config("regression"), tmp_path).length_column_name == "cost"


def test_training_by_itself_does_not_fall_back_to_the_cpu_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setenv(GIVEN, "1")
    with pytest.raises(UserError, match="torch sees 0"):
        training_arguments(config("classification"), tmp_path)
