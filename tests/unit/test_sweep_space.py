"""What is searched: refused where no trial could take it, and told to W&B's agents as it was meant."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from boatyard.config import compose
from boatyard.config.compose import load_config, options
from boatyard.config.errors import UserError
from boatyard.config.schema import Sweep
from boatyard.pipeline.sweep.__main__ import main
from boatyard.pipeline.sweep.export import wandb_sweep
from boatyard.pipeline.sweep.space import assigned, check_space, fixed
from boatyard.train.metric import Metric

pytestmark = pytest.mark.unit


def sweep(space: dict[str, Any], **settings: Any) -> Sweep:
    return Sweep.model_validate({"name": "x", "trials": 9, "metric": "loss", "warmup": 0, **settings, "space": space})


OF_TABLES = {"tabm": ["data=houses"], "boosting": ["data=houses", "model=boosting"]}


@pytest.mark.parametrize("name", options("sweep"))
def test_every_file_declares_a_space_that_can_be_searched(name: str) -> None:
    chosen = [*OF_TABLES.get(name, []), f"sweep={name}"]
    composed = load_config(chosen).sweep
    assert composed is not None
    assert composed.name == name, "its results lie under its name"
    check_space(composed, chosen)


# part: text, classification
@pytest.mark.parametrize(
    ("chosen", "searched", "fitting"),
    [
        (OF_TABLES["tabm"], "sweep=quick", "sweep=tabm"),
        (OF_TABLES["boosting"], "sweep=quick", "sweep=boosting"),
        (OF_TABLES["boosting"], "sweep=tabm", "sweep=boosting"),
        ([], "sweep=tabm", "sweep=quick"),
    ],
)
def test_who_searches_what_the_model_does_not_have_is_told_what_it_has(
    chosen: list[str], searched: str, fitting: str
) -> None:
    given = [*chosen, searched]
    composed = load_config(given).sweep
    assert composed is not None
    with pytest.raises(UserError, match=rf"\(for this model there is {fitting}\)$"):
        check_space(composed, given)


# part end


@pytest.mark.parametrize(
    ("space", "sentence"),
    [
        ({"train.learning_rat": {"low": 0.1, "high": 0.2}}, "did you mean train.learning_rate?"),
        ({"model.text.word_dropuot": {"low": 0.1, "high": 0.2}}, "did you mean model.text.word_dropout?"),
        ({"train.adam_beta3": {"low": 0.1, "high": 0.2}}, "did you mean train.adam_beta2?"),
        ({"model": {"choices": ["tiny", "tinny"]}}, "model=tinny: there is no such option; did you mean tiny?"),
        ({"model.dropout": {"low": 0.5, "high": 1.5}}, "model.dropout=1.5: input should be less than 1"),
        ({"train.seed": {"low": 0.5, "high": 2.5}}, "train.seed=0.5: input should be a valid integer"),
        ({"train.output_dir": {"choices": ["a", "b"]}}, "set by boatyard itself"),
        ({"sweep.trials": {"low": 1, "high": 5}}, "sweep.trials says how to search"),
    ],
)
def test_what_no_trial_could_take_is_refused(space: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as refusal:
        check_space(sweep(space), [])
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"low": 2, "high": 1}, "seed.range: low must lie below high"),
        ({"low": 0, "high": 1, "log": True}, "seed.range: log goes without step, and low must be above 0"),
        ({"low": 1, "high": 4, "log": True, "step": 2}, "seed.range: log goes without step"),
        ({"low": 1, "high": 4, "step": 0}, "seed.range.step=0: input should be greater than 0"),
        ({"low": 1, "hihg": 2}, "seed.range.high"),
        ({"choices": [1]}, "seed.choices.choices=[1]: list should have at least 2 items"),
        ({"choices": [1, 2], "low": 1}, "seed.choices.low=1: extra inputs are not permitted"),
        (5, "seed.range=5"),
    ],
)
def test_a_file_with_wrong_values_is_refused_by_the_key(
    values: object, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(compose.CONFIGS, tmp_path / "configs")
    monkeypatch.setattr(compose, "CONFIGS", tmp_path / "configs")
    declared = {"name": "x", "trials": 9, "metric": "loss", "warmup": 0, "space": {"train.seed": values}}
    (tmp_path / "configs/sweep/x.yaml").write_text(yaml.safe_dump(declared))
    with pytest.raises(UserError) as refusal:
        load_config(["sweep=x"])
    assert str(refusal.value).startswith("sweep.space.train.")
    assert sentence in str(refusal.value)


@pytest.mark.parametrize("value", [0.0012345678901234567, 1234.5, 0.1 + 0.2, 3e-05, 7, True, "cosine"])
def test_a_value_becomes_an_override_that_means_just_it(value: object) -> None:
    keys = {bool: "use_cpu", int: "seed", float: "learning_rate", str: "lr_scheduler_type"}
    key = keys[type(value)]
    assert getattr(load_config(assigned({f"train.{key}": value})).train, key) == value


def test_what_is_fixed_is_neither_searched_nor_about_the_search() -> None:
    given = ["data=csv", "sweep=x", "sweep.trials=3", "train.seed=1", "+train.adam_beta2=0.9", "model=tiny"]
    searched = sweep({"train.adam_beta2": {"low": 0.8, "high": 0.9}, "model": {"choices": ["tiny", "minilm"]}})
    assert fixed(searched, given) == ["data=csv", "train.seed=1"]


@pytest.mark.parametrize(
    ("values", "distribution"),
    [
        ({"low": 0.1, "high": 0.5}, {"distribution": "uniform", "min": 0.1, "max": 0.5}),
        ({"low": 0.1, "high": 0.5, "log": True}, {"distribution": "log_uniform_values", "min": 0.1, "max": 0.5}),
        ({"low": 0.1, "high": 0.5, "step": 0.2}, {"distribution": "q_uniform", "min": 0.1, "max": 0.5, "q": 0.2}),
        ({"low": 1, "high": 9}, {"distribution": "int_uniform", "min": 1, "max": 9}),
        ({"low": 1, "high": 9, "step": 2}, {"distribution": "q_uniform", "min": 1, "max": 9, "q": 2}),
        ({"low": 1, "high": 9, "log": True}, {"distribution": "q_log_uniform_values", "min": 1, "max": 9, "q": 1}),
        ({"choices": ["a", "b"]}, {"values": ["a", "b"]}),
    ],
)
def test_wandb_draws_from_the_same_values(values: dict[str, Any], distribution: dict[str, Any]) -> None:
    definition = yaml.safe_load(wandb_sweep(sweep({"train.seed": values}), Metric("loss", False), []))
    assert definition["parameters"] == {"train.seed": distribution}


# part: text, classification
def test_wandb_prints_a_definition_whose_command_trains(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["sweep", "sweep=quick", "--wandb", "train.learning_rate=0.1", "train.seed=3"])
    assert main() == 0
    definition = yaml.safe_load(capsys.readouterr().out)
    assert definition["metric"] == {"name": "eval/accuracy", "goal": "maximize"}
    assert definition["early_terminate"] == {"type": "hyperband", "min_iter": 3}
    interpreter = ["${env}", "python", "-m", "${program}"]
    assert definition["command"] == [*interpreter, "train.seed=3", "tracking=wandb", "${args_no_hyphens}"]
    assert definition["program"] == "boatyard.train"


# part end


def test_a_sweep_must_be_chosen(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["sweep"])
    assert main() == 2
    assert capsys.readouterr().err == "pipeline.sweep: sweep=NAME must be given: a file in configs/sweep\n"
