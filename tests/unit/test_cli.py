"""The command line: help at once, one sentence for what is wrong, exit status 2."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

STAGES = ("data", "train", "evaluate", "export", "pipeline")


def boatyard(stage: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", f"boatyard.{stage}", *words], capture_output=True, text=True)


@pytest.mark.parametrize("stage", STAGES)
def test_help_shows_the_choices(stage: str) -> None:
    shown = boatyard(stage, "--help")
    assert shown.returncode == 0
    assert f"python -m boatyard.{stage}" in shown.stdout
    assert "model=      distilbert | minilm | scratch | tiny | tinybert" in shown.stdout


def test_help_imports_nothing_heavy() -> None:
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "boatyard.train", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in shown.stderr.splitlines()}
    assert "boatyard.config" in imported
    assert not {"torch", "transformers", "datasets", "sklearn", "pandas", "pyarrow", "matplotlib", "wandb"} & imported


def test_wrong_input_ends_in_one_sentence_and_status_2() -> None:
    refused = boatyard("train", "data.nme=x")
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr == "train: unknown key data.nme; did you mean data.name?\n"


def test_rows_that_are_not_there_end_the_same_way() -> None:
    refused = boatyard("data", "data=csv", "data.path=nowhere.csv", "data.name=x")
    assert refused.returncode == 2
    assert refused.stderr == "data: data.path=nowhere.csv: there is no such file or folder\n"


def test_cfg_prints_the_composed_configuration() -> None:
    shown = boatyard("train", "--cfg", "model=minilm")
    assert "learning_rate: 0.0003" in shown.stdout
