"""Searching for settings: stopped, shared and hopeless trials, and what it closes with."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
import yaml
from plants import write_plants
from stages import SMALL

from boatyard.config import load_config
from boatyard.sweep.search import search

pytestmark = pytest.mark.integration


@pytest.fixture
def overrides(tmp_path: Path) -> list[str]:
    rows = write_plants(tmp_path / "plants.csv")
    places = [f"paths.{place}={tmp_path / place}" for place in ("processed", "runs", "reports", "storage")]
    plants = [f"data.path={rows}", "data.name=plants", "data.text_columns=[question]", "data.label_column=topic"]
    short = ["train.num_train_epochs=3", "train.eval_strategy=epoch", "sweep=quick", "sweep.trials=4"]
    return [*SMALL, "data=csv", *plants, *places, *short, "sweep.name=plants"]


def start(overrides: list[str], *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "boatyard.sweep", *overrides, *more]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def study(root: Path) -> optuna.Study:
    storage = f"sqlite:///{root / 'runs/plants/sweeps/plants.db'}"
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage)


def states(root: Path) -> list[str]:
    return [trial.state.name for trial in study(root).trials]


def test_it_closes_with_a_table_a_picture_and_a_line_to_paste(
    tmp_path: Path, overrides: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    config = load_config(overrides)
    assert config.sweep is not None
    search(config, config.sweep, overrides)
    said = capsys.readouterr().out
    folder = tmp_path / "reports" / "sweeps" / "plants" / "plants"
    assert (folder / "parallel.png").read_bytes().startswith(b"\x89PNG")
    report = json.loads((folder / "report.json").read_text())
    assert len(report["trials"]) == 4
    assert report["best"] in said
    assert report["best"] in (folder / "report.md").read_text()
    given = [word for word in shlex.split(report["best"]) if "=" in word]
    best = max((t for t in report["trials"] if t["state"] == "complete"), key=lambda t: t["value"])
    assert load_config(given).train.learning_rate == pytest.approx(best["parameters"]["train.learning_rate"], rel=0.01)

    again = search(config, config.sweep, overrides)
    assert len(again.trials) == 4, "it was done"


def test_killed_in_the_middle_it_goes_on_to_the_same_number_of_trials(tmp_path: Path, overrides: list[str]) -> None:
    running = start(overrides)
    assert running.stderr is not None
    for line in running.stderr:
        if "sweep: trial 2 of 4" in line:
            break
    running.send_signal(signal.SIGKILL)
    running.communicate()
    (left,) = [trial for trial in study(tmp_path).trials if trial.state.name == "RUNNING"]

    again = start(overrides)
    said, errors = again.communicate()
    assert again.returncode == 0, errors
    found = states(tmp_path)
    assert found.count("COMPLETE") + found.count("PRUNED") == 4
    assert found.count("FAIL") == 1
    assert study(tmp_path).trials[left.number + 1].params == left.params, "what was lost is tried again"
    assert "to paste" in said


def test_two_processes_share_the_trials(tmp_path: Path, overrides: list[str]) -> None:
    both = [start(overrides), start(overrides)]
    ended = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], ended
    found = states(tmp_path)
    assert len(found) == 4
    assert found.count("COMPLETE") + found.count("PRUNED") == 4
    ran = [re.findall(r"sweep: trial (\d) of 4", errors) for _, errors in ended]
    assert sorted(ran[0] + ran[1]) == ["1", "2", "3", "4"]
    assert all(ran), "each did some"


def test_a_hopeless_trial_is_given_up_and_leaves_no_run_behind(tmp_path: Path, overrides: list[str]) -> None:
    given = [*overrides, "sweep.trials=10", "sweep.warmup=1", "train.num_train_epochs=6"]
    config = load_config(given)
    assert config.sweep is not None
    space = {"train.learning_rate": {"choices": [0.004, 0.005, 0.006, 0.007, 1e-9]}}
    sweep = config.sweep.model_validate({**config.sweep.model_dump(), "space": space})
    found = search(config, sweep, given)
    pruned = [trial for trial in found.trials if trial.state.name == "PRUNED"]
    assert pruned
    assert all(len(trial.intermediate_values) < 6 for trial in pruned), "it was not trained to its end"
    finished = {t.params["train.learning_rate"] for t in found.trials if t.state.name == "COMPLETE"}
    assert len(list(tmp_path.glob("runs/plants/*/network"))) == len(finished)
    assert not list(tmp_path.glob("runs/plants/*/checkpoints"))


def test_the_same_search_prints_as_a_sweep_of_wandb(overrides: list[str]) -> None:
    printed = start(overrides, "--wandb")
    said, errors = printed.communicate()
    assert printed.returncode == 0, errors
    definition = yaml.safe_load(said)
    assert definition["metric"] == {"name": "eval/accuracy", "goal": "maximize"}
    parameters = definition["parameters"]
    assert parameters["train.learning_rate"] == {"distribution": "log_uniform_values", "min": 3e-4, "max": 5e-3}
    assert parameters["train.per_device_train_batch_size"] == {"values": [16, 32, 64]}
    assert parameters["model.word_dropout"] == {"distribution": "q_uniform", "min": 0.0, "max": 0.4, "q": 0.1}
    assert definition["command"][-1] == "${args_no_hyphens}"
    assert "data.name=plants" in definition["command"]
    assert not any(word.startswith("sweep") for word in definition["command"])
