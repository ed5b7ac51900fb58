"""Data versions: real git, real DVC, a bucket, and clones that have nothing but what was pushed."""

import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from buckets import BUCKET

pytestmark = [pytest.mark.cloud, pytest.mark.slow]

REPOSITORY = Path(__file__).parents[2]
ROWS = Path("data/raw/plants.csv")
SMALL = (
    "data=csv",
    f"data.path={ROWS}",
    "data.name=plants",
    "model=scratch",
    "model.text.scratch.hidden_size=16",
    "model.text.scratch.layers=1",
    "model.text.scratch.vocabulary=200",
    "+model.text.wide=false",
    "train.max_steps=12",
    "train.eval_strategy=no",
    "tracking=none",
)
QUESTIONS = {"watering": "how much water does the {} {} want", "light": "can the {} {} stand in the sun"}
SIZES, PLANTS = ("small", "big", "old", "new", "red"), ("fern", "ivy", "rose", "basil", "cactus", "palm", "lily", "oak")


@dataclass(frozen=True)
class Clone:
    """A project's folder, and the commands that a person gives there."""

    folder: Path
    environment: dict[str, str]

    def run(self, *words: str) -> str:
        environment = self.environment | {"PYTHONPATH": str(self.folder / "src")}
        ran = subprocess.run(words, cwd=self.folder, env=environment, capture_output=True, text=True)
        assert ran.returncode == 0, f"{words}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout

    def dvc(self, *words: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *words)

    def commit(self) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", "a commit")

    def metrics(self) -> dict[str, Any]:
        metrics = {file.stem: json.loads(file.read_text()) for file in (self.folder / "outputs").glob("*.json")}
        assert metrics.keys() == {"network", "evaluation", "bundle"}
        return metrics


def set_params(choices: Iterable[str]) -> list[str]:
    return [word for choice in choices for word in ("--set-param", choice)]


def stages_run(output: str) -> list[str]:
    return re.findall(r"Running stage '(\w+)'", output)


def write_rows(path: Path) -> None:
    lines = [f"{text.format(*words)},{label}" for label, text in QUESTIONS.items() for words in product(SIZES, PLANTS)]
    path.write_text("\n".join(["text,label", *lines, ""]))


@pytest.fixture(scope="module")
def project(stand_in: str, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """This repository with rows of its own, run once, committed and pushed."""
    root = tmp_path_factory.mktemp("versions")
    clone = Clone(
        root / "project",
        {
            **os.environ,
            **{
                f"GIT_{who}_{what}": "tester@localhost"
                for who, what in product(("AUTHOR", "COMMITTER"), ("NAME", "EMAIL"))
            },
            "DVC_GLOBAL_CONFIG_DIR": str(root / "global"),
            "DVC_SITE_CACHE_DIR": str(root / "site"),
            "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",  # else it asks what only the real one knows
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "STORAGE_EMULATOR_HOST": stand_in,
        },
    )
    listed = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    files = subprocess.run(listed, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    for name in filter(None, files.split("\0")):
        if (REPOSITORY / name).exists():
            (clone.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (clone.folder / name).write_bytes((REPOSITORY / name).read_bytes())
    clone.run("git", "init", "--quiet")
    write_rows(clone.folder / ROWS)
    clone.dvc("add", str(ROWS))
    clone.dvc("remote", "modify", "storage", "url", f"gs://{BUCKET}/{uuid4().hex}/dvc")
    clone.commit()
    ran = clone.dvc("exp", "run", *set_params(SMALL))
    assert stages_run(ran) == ["prepare", "train", "evaluate", "export"]
    clone.commit()
    clone.dvc("push")
    return clone


@pytest.fixture(scope="module")
def pulled(project: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone elsewhere that has pulled."""
    clone = Clone(tmp_path_factory.mktemp("elsewhere") / "clone", project.environment)
    project.run("git", "clone", "--quiet", str(project.folder), str(clone.folder))
    clone.dvc("pull")
    return clone


@pytest.fixture
def fresh(pulled: Clone, tmp_path: Path) -> Clone:
    """The same, for a test to change."""
    shutil.copytree(pulled.folder, tmp_path / "clone", symlinks=True)
    return Clone(tmp_path / "clone", pulled.environment)


def test_a_fresh_clone_that_has_pulled_has_nothing_to_do(project: Clone, pulled: Clone) -> None:
    assert stages_run(pulled.dvc("repro")) == []
    assert pulled.run("git", "status", "--porcelain") == ""
    files = [
        ROWS,
        *(file.relative_to(project.folder) for file in project.folder.glob("outputs/**/*") if file.is_file()),
    ]
    assert len(files) > 20
    same, differing, missing = filecmp.cmpfiles(project.folder, pulled.folder, files, shallow=False)
    assert (len(same), differing, missing) == (len(files), [], [])


def test_a_changed_row_runs_all_that_depends_on_it(fresh: Clone) -> None:
    before = fresh.metrics()["network"]["train_rows"]
    with (fresh.folder / ROWS).open("a") as rows:
        rows.writelines(f"is a {size} watering can included,watering\n" for size in SIZES)
    assert stages_run(fresh.dvc("repro")) == ["prepare", "train", "evaluate", "export"]
    assert fresh.metrics()["network"]["train_rows"] > before
    assert stages_run(fresh.dvc("repro")) == []


def test_an_experiment_runs_only_what_its_keys_concern_and_is_compared(fresh: Clone) -> None:
    """The network was trained in another clone: what was pulled is all that export needs."""
    choices = (*SMALL, "export.precision=fp32")
    assert stages_run(fresh.dvc("exp", "run", "--name", "exact", *set_params(choices))) == ["export"]
    composed = (fresh.folder / "params.yaml").read_text()
    fresh.run(sys.executable, "-m", "boatyard.config.params", *choices)
    assert (fresh.folder / "params.yaml").read_text() == composed
    baseline, experiment = compared(fresh)
    assert (baseline["params"]["export"]["precision"], experiment["params"]["export"]["precision"]) == ("int8", "fp32")
    assert baseline["bundle"]["graph_bytes"] < experiment["bundle"]["graph_bytes"]
    assert baseline["evaluation"] == experiment["evaluation"]
    assert 0 <= baseline["evaluation"]["accuracy"] <= 1


def compared(clone: Clone) -> list[dict[str, Any]]:
    """What `dvc exp show` lists: the commit and the experiment on it, each with its parameters and metrics."""
    _, commit = json.loads(clone.dvc("exp", "show", "--json"))
    (experiment,) = commit["experiments"]
    assert experiment["name"] == "exact"
    return [
        {
            "params": data["params"]["params.yaml"]["data"],
            **{Path(name).stem: metrics["data"] for name, metrics in data["metrics"].items()},
        }
        for data in (commit["data"], experiment["revs"][0]["data"])
    ]
