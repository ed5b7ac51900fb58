"""Vertex AI's environment as torchrun's arguments."""

import json

import pytest

from boatyard.config import load_config
from boatyard.errors import UserError
from boatyard.train.vertex import vertex_launch

pytestmark = pytest.mark.unit

CLUSTER = {"workerpool0": ["lead-0:2222"], "workerpool1": ["more-0:2222", "more-1:2222"]}


def spec(pool: str, index: int) -> dict[str, str]:
    return {"CLUSTER_SPEC": json.dumps({"cluster": CLUSTER, "task": {"type": pool, "index": index}})}


@pytest.mark.parametrize(
    ("pool", "index", "rank"), [("workerpool0", 0, 0), ("workerpool1", 0, 1), ("workerpool1", 1, 2)]
)
def test_workers_are_numbered_through_the_pools_and_meet_at_the_first(pool: str, index: int, rank: int) -> None:
    assert vertex_launch(spec(pool, index), processes=4).torchrun == [
        "--nnodes=3",
        f"--node-rank={rank}",
        "--master-addr=lead-0",
        "--master-port=2222",
        "--nproc-per-node=4",
    ]


def test_one_worker_stands_alone() -> None:
    assert vertex_launch({}, processes=1).torchrun == ["--standalone", "--nproc-per-node=1"]


def test_the_folders_that_vertex_names_become_overrides() -> None:
    named = {"AIP_CHECKPOINT_DIR": "gs://bucket/job/checkpoints/", "AIP_MODEL_DIR": "gs://bucket/job/model/"}
    config = load_config(vertex_launch(named, processes=1).overrides)
    assert config.paths.checkpoints == "gs://bucket/job/checkpoints"
    assert config.paths.storage == "gs://bucket/job/model"


@pytest.mark.parametrize(
    "wrong",
    ["no json", "[]", "{}", json.dumps({"cluster": CLUSTER, "task": {"type": "workerpool1", "index": 7}})],
)
def test_another_cluster_spec_is_refused_by_name(wrong: str) -> None:
    with pytest.raises(UserError, match="CLUSTER_SPEC is not what Vertex AI writes"):
        vertex_launch({"CLUSTER_SPEC": wrong}, processes=1)
