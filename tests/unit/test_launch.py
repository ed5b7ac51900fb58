"""Vertex AI's environment as torchrun's arguments and as overrides; the command line as ever."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from boatyard.cloud.team import overrides, team, together
from boatyard.config.compose import load_config
from boatyard.config.errors import UserError
from boatyard.retrain.__main__ import main as retrain
from boatyard.train.launch import standalone

pytestmark = pytest.mark.unit

CLUSTER = {"workerpool0": ["lead-0:2222"], "workerpool1": ["more-0:2222", "more-1:2222"]}
NAMED = {"AIP_CHECKPOINT_DIR": "gs://bucket/job/checkpoints/", "AIP_MODEL_DIR": "gs://bucket/job/model/"}


def spec(pool: str, index: int, cluster: dict[str, list[str]] = CLUSTER) -> dict[str, str]:
    return {"CLUSTER_SPEC": json.dumps({"cluster": cluster, "task": {"type": pool, "index": index}})}


def launch(
    folder: Path, *words: str, module: str = "train.launch", **environment: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", f"boatyard.{module}", *words],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("pool", "index", "rank"), [("workerpool0", 0, 0), ("workerpool1", 0, 1), ("workerpool1", 1, 2)]
)
def test_workers_are_numbered_through_the_pools_and_meet_at_the_first(pool: str, index: int, rank: int) -> None:
    workers = team(spec(pool, index))
    assert workers
    assert together(workers, processes=4) == [
        "--nnodes=3",
        f"--node-rank={rank}",
        "--master-addr=lead-0",
        "--master-port=2222",
        "--nproc-per-node=4",
    ]


@pytest.mark.parametrize("environment", [{}, spec("workerpool0", 0, {"workerpool0": ["lead-0:2222"]})])
def test_one_worker_is_no_team(environment: dict[str, str]) -> None:
    assert team(environment) is None


def test_one_worker_needs_torchrun_for_several_gpus_only() -> None:
    assert standalone(2) == ["--standalone", "--nproc-per-node=2"]
    assert standalone(1) == []


def test_the_folders_that_vertex_names_become_overrides() -> None:
    config = load_config(overrides(NAMED))
    assert config.paths.checkpoints == "gs://bucket/job/checkpoints"
    assert config.paths.storage == "gs://bucket/job/model"


def test_all_jobs_publish_to_the_one_storage_that_is_named_and_keep_their_checkpoints_there() -> None:
    for job in (NAMED, NAMED | {"AIP_CHECKPOINT_DIR": "gs://bucket/later/checkpoints/"}):
        stored = overrides(job | {"BOATYARD_STORAGE": "gs://bucket/all/"})
        assert stored == ["paths.checkpoints=gs://bucket/all/checkpoints"], "whichever job: a later one goes on"
    assert overrides({"BOATYARD_STORAGE": "gs://bucket/all"}) == [], "not on Vertex AI"


@pytest.mark.parametrize(
    "wrong",
    ["no json", "[]", "{}", json.dumps({"cluster": CLUSTER, "task": {"type": "workerpool1", "index": 7}})],
)
def test_another_cluster_spec_is_refused_by_name(wrong: str) -> None:
    with pytest.raises(UserError, match="CLUSTER_SPEC is not what Vertex AI writes"):
        team({"CLUSTER_SPEC": wrong})


@pytest.mark.slow
def test_the_configuration_is_printed_with_what_vertex_says_unless_the_command_says_otherwise(tmp_path: Path) -> None:
    said = launch(tmp_path, "--cfg", "train.seed=7", **NAMED, BOATYARD_STORAGE="gs://bucket/all")
    assert said.returncode == 0, said.stderr
    for line in ("seed: 7", "checkpoints: gs://bucket/all/checkpoints", "storage: gs://bucket/all"):
        assert line in said.stdout
    assert "checkpoints: here" in launch(tmp_path, "--cfg", "paths.checkpoints=here", **NAMED).stdout


def test_retraining_keeps_its_checkpoints_where_a_job_of_training_does(tmp_path: Path) -> None:
    named = {**NAMED, "BOATYARD_STORAGE": "gs://bucket/all"}
    assert "checkpoints: gs://bucket/all/checkpoints" in launch(tmp_path, "--cfg", module="retrain", **named).stdout


def test_retraining_stops_without_the_gpu_that_it_was_given_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOATYARD_GPUS", "64")
    with pytest.raises(UserError, match="this worker was given 64 GPU"):
        retrain(load_config([]))


@pytest.mark.parametrize("workers", [{}, spec("workerpool1", 1)])
def test_a_wrong_key_ends_it_as_it_ends_the_pipeline(workers: dict[str, str], tmp_path: Path) -> None:
    said = launch(tmp_path, "data.nme=x", **workers)
    assert said.returncode == 2
    assert said.stderr == "pipeline: unknown key data.nme; did you mean data.name?\n"
