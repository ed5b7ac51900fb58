"""Searching for settings: stopped, shared and hopeless trials, and what it closes with."""

import json
import re
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
import warm
from optuna.trial import Trial
from plants import write_plants
from stages import SMALL

from boatyard.config.compose import load_config
from boatyard.config.errors import UserError
from boatyard.config.schema import Sweep
from boatyard.data.encode import encode
from boatyard.data.prepare import prepare
from boatyard.pipeline.sweep.search import _claimed, _open_study, search
from boatyard.train.metric import primary
from boatyard.train.trained import open_trained

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def overrides(tmp_path: Path) -> list[str]:
    rows = write_plants(tmp_path / "plants.csv")
    places = [f"paths.{place}={tmp_path / place}" for place in ("processed", "runs", "reports", "storage")]
    plants = [f"data.path={rows}", "data.name=plants", "data.text_columns=[question]", "data.target=topic"]
    short = ["train.num_train_epochs=3", "train.eval_strategy=epoch", "sweep=quick", "sweep.trials=4"]
    return [*SMALL, "data=csv", *plants, *places, *short, "sweep.name=plants"]


def study(root: Path) -> optuna.Study:
    storage = f"sqlite:///{root / 'runs/plants/sweeps/plants.db'}"
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage)


def states(root: Path) -> list[str]:
    return [trial.state.name for trial in study(root).trials]


@contextmanager
def claim(root: Path, overrides: list[str]) -> Iterator[Trial]:
    """Begin a trial as a process does that then dies: at the end it is neither done nor held."""
    config = load_config(overrides)
    assert config.sweep is not None
    folder = root / "runs/plants/sweeps"
    folder.mkdir(parents=True, exist_ok=True)
    opened = _open_study(config, prepare(config), config.sweep, primary("classification"), folder)
    with _claimed(opened, config, config.sweep, folder) as trial:
        assert trial is not None
        yield trial


def searching(sweep: Sweep, space: dict[str, Any]) -> Sweep:
    return sweep.model_validate({**sweep.model_dump(), "space": space})


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
    pasted = load_config(given)
    assert pasted.train.learning_rate == best["parameters"]["train.learning_rate"]
    assert open_trained(pasted, encode(pasted, prepare(pasted))), "it was trained already, as a trial"

    again = search(config, config.sweep, overrides)
    assert len(again.trials) == 4, "it was done"


def test_killed_in_the_middle_it_goes_on_to_the_same_number_of_trials(tmp_path: Path, overrides: list[str]) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    running = warm.command("boatyard.pipeline.sweep", overrides, first)
    while not (first.exists() and "sweep: trial 2 of 4" in first.read_text()):
        assert running.is_alive()
        time.sleep(0.02)
    running.kill()
    running.join()
    (left,) = [trial for trial in study(tmp_path).trials if trial.state.name == "RUNNING"]

    running = warm.command("boatyard.pipeline.sweep", overrides, again)
    running.join()
    assert running.exitcode == 0, again.read_text()
    found = states(tmp_path)
    assert found.count("COMPLETE") + found.count("PRUNED") == 4
    assert found.count("FAIL") == 1
    assert study(tmp_path).trials[left.number + 1].params == left.params, "what was lost is tried again"
    assert "to paste" in again.read_text()


def test_two_processes_share_the_trials(tmp_path: Path, overrides: list[str]) -> None:
    outputs = tmp_path / "one", tmp_path / "two"
    both = [warm.command("boatyard.pipeline.sweep", overrides, output) for output in outputs]
    for process in both:
        process.join()
    ended = [output.read_text() for output in outputs]
    assert [process.exitcode for process in both] == [0, 0], ended
    found = states(tmp_path)
    assert len(found) == 4
    assert found.count("COMPLETE") + found.count("PRUNED") == 4
    ran = [re.findall(r"sweep: trial (\d) of 4", said) for said in ended]
    assert sorted(ran[0] + ran[1]) == ["1", "2", "3", "4"]


def test_trials_begun_together_are_not_the_same_and_neither_is_taken_for_lost(
    tmp_path: Path, overrides: list[str]
) -> None:
    with claim(tmp_path, overrides) as first, claim(tmp_path, overrides) as second:
        assert states(tmp_path) == ["RUNNING", "RUNNING"]
        assert first.params != second.params


def test_another_sweeps_trial_of_the_same_number_is_another_trial(tmp_path: Path, overrides: list[str]) -> None:
    with claim(tmp_path, [*overrides, "sweep.name=other"]) as other:
        with claim(tmp_path, overrides) as lost:
            assert lost.number == other.number == 0
        with claim(tmp_path, overrides) as again:
            assert again.params == lost.params
    assert states(tmp_path)[0] == "FAIL"


def test_a_trial_that_keeps_ending_its_process_is_not_tried_for_ever(tmp_path: Path, overrides: list[str]) -> None:
    tried = []
    for _ in range(4):
        with claim(tmp_path, overrides) as trial:
            tried.append(trial.params)
    assert tried[0] == tried[1] == tried[2] != tried[3]


def test_other_rows_are_another_study(tmp_path: Path, overrides: list[str]) -> None:
    with claim(tmp_path, overrides):
        pass
    with (tmp_path / "plants.csv").open("a", encoding="utf-8") as rows:
        rows.write("how often does a yucca drink,watering\n")
    with claim(tmp_path, overrides) as trial:
        assert trial.number == 0
    assert len(optuna.get_all_study_names(f"sqlite:///{tmp_path / 'runs/plants/sweeps/plants.db'}")) == 2


def test_settings_that_clash_end_the_sweep_and_no_trial_is_spent_on_them(tmp_path: Path, overrides: list[str]) -> None:
    given = [*overrides, "train.load_best_model_at_end=true"]  # with no checkpoints
    config = load_config(given)
    assert config.sweep is not None
    with pytest.raises(UserError, match=r"^train: "):
        search(config, config.sweep, given)
    assert states(tmp_path) == ["RUNNING"]


def test_where_every_loss_is_no_number_the_sweep_says_so(tmp_path: Path, overrides: list[str]) -> None:
    given = [*overrides, "sweep.trials=2", "train.warmup_steps=0", "train.max_grad_norm=0"]
    config = load_config(given)
    assert config.sweep is not None
    sweep = searching(config.sweep, {"train.learning_rate": {"choices": [1e30, 1e35]}})
    with pytest.raises(UserError, match="none of the 2 trials came to its end"):
        search(config, sweep, given)
    assert states(tmp_path) == ["PRUNED", "PRUNED"]


def test_torchrun_is_not_how_trials_are_shared(overrides: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    config = load_config(overrides)
    assert config.sweep is not None
    with pytest.raises(UserError, match="start the sweep several times"):
        search(config, config.sweep, overrides)


def test_a_hopeless_trial_is_given_up_and_leaves_no_run_behind(tmp_path: Path, overrides: list[str]) -> None:
    kept = ["train.save_strategy=epoch", f"paths.checkpoints={tmp_path / 'copies'}"]
    given = [*overrides, "sweep.trials=5", "sweep.warmup=1", "train.num_train_epochs=6", *kept]
    config = load_config(given)
    assert config.sweep is not None
    rates = [0.004, 0.005, 0.006, 0.007, 1e-9]
    sweep = searching(config.sweep, {"train.learning_rate": {"choices": rates}})
    (tmp_path / "runs/plants/sweeps").mkdir(parents=True)
    queued = _open_study(config, prepare(config), sweep, primary("classification"), tmp_path / "runs/plants/sweeps")
    for rate in rates:
        queued.enqueue_trial({"train.learning_rate": rate})

    found = search(config, sweep, given)
    assert [trial.state.name for trial in found.trials] == ["COMPLETE"] * 4 + ["PRUNED"]
    assert len(found.trials[-1].intermediate_values) < 6, "it was not trained to its end"
    assert len(list(tmp_path.glob("runs/plants/*/network"))) == 4
    assert not list(tmp_path.glob("runs/plants/*/checkpoints"))
    assert not list(tmp_path.glob("copies/**/*.*"))
