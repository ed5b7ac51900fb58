"""Scoring on Vertex AI: the real command, and machines of a job that form a Ray cluster of real processes."""

import json
import re
from functools import partial
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from bundles import write_bundle
from standin_vertex import start_here
from test_vertex_jobs import Cloud, cloud, program  # noqa: F401 - fixtures

from boatyard import registry
from boatyard.cloud.__main__ import main

pytestmark = pytest.mark.cloud

ROWS = 3000


@pytest.fixture
def published(cloud: Cloud, tmp_path: Path) -> str:  # noqa: F811
    """Its version; in the bucket lie rows to score too."""
    manifest = write_bundle(tmp_path / "bundle", name="inbox")
    registry.publish(cloud.storage, tmp_path / "bundle")
    registry.promote(cloud.storage, "inbox", manifest.version)
    lines = "".join(f"{number},my card {number}\n" for number in range(1, ROWS + 1))
    cloud.storage.write("rows/a.csv", f"id,text\n{lines}".encode())
    return manifest.version


def words(cloud: Cloud) -> list[str]:  # noqa: F811
    return [f"score.rows={cloud.root}/rows", f"score.out={cloud.root}/answers", "score.block=200"]


@pytest.mark.parametrize("program", ["pass"], indirect=True)
def test_the_job_runs_on_the_machines_of_its_own_key_with_the_version_of_now(cloud: Cloud, published: str) -> None:  # noqa: F811
    chosen = ["cloud.score.workers=3", "cloud.score.machine=n2-standard-16", "cloud.score.spot=true"]
    assert main(["score", "--detach", *words(cloud), *chosen, "cloud.train.gpu=t4"]) == 0
    (body,) = cloud.vertex.bodies()
    first, others = body["jobSpec"]["workerPoolSpecs"]
    assert first["machineSpec"] == {"machineType": "n2-standard-16"}
    assert int(others["replicaCount"]) == 2
    assert first["containerSpec"]["command"] == ["python", "-m", "boatyard.cloud.replica"]
    assert first["containerSpec"]["args"] == [*words(cloud), f"score.model=inbox@{published}"]
    assert body["jobSpec"]["scheduling"]["strategy"] == "SPOT"
    assert body["displayName"].startswith("score-inbox-")


@pytest.mark.parametrize("program", ["pass"], indirect=True)
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("rows.csv", "score.rows=rows.csv: a job can only reach a bucket"),
        ("gs://b/rows.csv", "model 'other' has no|there is no model 'other'"),
    ],
)
def test_what_no_job_could_score_is_refused_before_one_starts(
    cloud: Cloud,  # noqa: F811
    published: str,  # noqa: ARG001
    rows: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["score", f"score.rows={rows}", "score.out=gs://b/out", "score.model=other"]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert cloud.vertex.requests == []


@pytest.mark.slow
def test_two_machines_score_each_row_once_and_all_ends(cloud: Cloud, published: str) -> None:  # noqa: F811
    pytest.importorskip("ray")
    cloud.vertex._start = partial(start_here, entry=("-m", "boatyard.cloud.replica"))
    assert main(["score", *words(cloud), "cloud.score.workers=2"]) == 0
    output = "\n".join(cloud.job().lines)
    assert f"{ROWS:,} scored now" in output
    summary = json.loads(cloud.storage.read("answers/_summary.json"))
    assert summary == {"model": "inbox", "version": published, "rows": ROWS, "bad": 0, "blocks": 15}
    assert cloud.storage.list("training/ray/") == [], "the cluster's key"
    folder = cloud.storage.fetch("answers", Path("fetched"))
    answered = ds.dataset(folder, format="parquet").to_table()
    assert sorted(answered["row"].to_pylist()) == [*range(1, ROWS + 1)]
