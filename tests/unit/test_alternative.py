"""Beside a network of tables stands boosting on the same rows; beside boosting, and for other inputs, nothing does."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from boatyard import inputs
from boatyard.config.compose import load_config
from boatyard.data.encode import Encoded
from boatyard.evaluate.alternative import score_alternative
from boatyard.inputs.table import models
from boatyard.inputs.table.columns import Column, Columns
from boatyard.inputs.training_protocol import TARGET

pytestmark = pytest.mark.unit

TABLE = ("data=table", "data.task=regression", "data.path=boats.csv", "data.name=boats", "data.target=price")
ROWS = {"train": 300, "validation": 60, "test": 60}
TARGET_FACTS = {"log": False, "mean": 0.0, "std": 1.0, "unit": None}


def rows(count: int, seed: int) -> tuple[Dataset, np.ndarray]:
    draw = np.random.default_rng(seed)
    numbers = draw.normal(size=(count, 2))
    prices = np.sign(numbers[:, 0]) + 0.1 * draw.normal(size=count)
    columns = {"numbers": numbers.tolist(), "categories": [[]] * count, "cost": [1] * count, TARGET: prices.tolist()}
    return Dataset.from_dict(columns), prices


def score(folder: Path, *overrides: str, **facts: Any) -> Any:
    Columns((Column("length", "number"), Column("beam", "number"))).write(folder)
    drawn = {split: rows(count, seed) for seed, (split, count) in enumerate(ROWS.items())}
    encoded = Encoded(folder, "", {split: dataset for split, (dataset, _) in drawn.items()})
    prepared: Any = SimpleNamespace(target=TARGET_FACTS | facts, targets=lambda split: drawn[split][1])
    return score_alternative(load_config([*TABLE, *overrides]), prepared, encoded, "test")


def test_boosting_is_fitted_as_it_would_be_served_interval_included(tmp_path: Path) -> None:
    scored = score(tmp_path)
    assert scored.name == "Boosting"
    assert scored.description == "gradient-boosted trees, fitted on all 300 training rows"
    measured = scored.scores.by_name()
    assert measured["rows"] == 60
    assert measured["r2"] > 0.95
    assert 0.75 < measured["interval_coverage"] <= 1


def test_of_too_many_rows_a_sample_is_fitted_and_all_are_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "_MOST_ROWS", 50)
    scored = score(tmp_path)
    assert scored.rows_used == 50
    assert scored.description.endswith("fitted on a sample of 50 of 300 training rows")
    assert scored.scores.rows == 60


def test_what_cannot_be_fitted_is_left_out_and_the_evaluation_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert score(tmp_path, mean="none") is None
    assert "Boosting could not be fitted" in caplog.text


@pytest.mark.parametrize("overrides", [["data=inbox"], [*TABLE, "model=boosting"]])
def test_beside_boosting_and_beside_texts_there_is_only_the_baseline(overrides: list[str]) -> None:
    config = load_config(overrides)
    assert inputs.training(config.data.input).alternative(config.model) is None
