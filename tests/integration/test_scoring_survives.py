"""Scoring on Ray: each row once, whatever is killed meanwhile."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from bundles import write_bundle
from ray_nodes import Cluster

from boatyard import registry
from boatyard.storage import open_storage

pytest.importorskip("ray")
pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROWS, BLOCK = 20_000, 100


@dataclass
class Scoring:
    """Rows, of which each thousandth is blank, and a storage with the model."""

    storage: Path
    rows: Path
    started: "list[subprocess.Popen[str]]" = field(default_factory=list)

    def start(self, out: Path, environment: Mapping[str, str] = os.environ) -> "subprocess.Popen[str]":
        options = [f"score.rows={self.rows}", f"score.out={out}", f"score.block={BLOCK}", "score.model=ferry"]
        process = subprocess.Popen(
            [sys.executable, "-m", "boatyard.score", *options],
            env={**environment, "BOATYARD_STORAGE": str(self.storage)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process


@pytest.fixture(scope="module")
def scoring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scoring]:
    folder = tmp_path_factory.mktemp("scoring")
    manifest = write_bundle(folder / "bundle")
    storage = open_storage(str(folder / "storage"))
    registry.publish(storage, folder / "bundle")
    registry.promote(storage, "ferry", manifest.version)
    lines = (f"{number},{'' if number % 1000 == 0 else 'my card was stolen'}\n" for number in range(1, ROWS + 1))
    (folder / "rows.csv").write_text("id,text\n" + "".join(lines))
    made = Scoring(folder / "storage", folder / "rows.csv")
    yield made
    for process in made.started:
        process.terminate()
        process.communicate()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder, Cluster(Path(folder)) as nodes:
        nodes.start(2)
        nodes.await_nodes(2)
        yield nodes


def await_blocks(out: Path, number: int, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 300
    while len(list(out.glob("part-*"))) < number:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def assert_each_row_once(out: Path) -> None:
    answered = ds.dataset(out).to_table()
    assert sorted(answered["row"].to_pylist()) == [*range(1, ROWS + 1)]
    assert answered["row"].to_pylist() == [int(id_) for id_ in answered["id"].to_pylist()]
    assert len(answered) - answered["error"].null_count == ROWS // 1000
    summary = json.loads((out / "_summary.json").read_text())
    assert (summary["rows"], summary["bad"], summary["blocks"]) == (ROWS, ROWS // 1000, ROWS // BLOCK)


def test_a_node_is_killed_and_comes_back(scoring: Scoring, cluster: Cluster, tmp_path: Path) -> None:
    process = scoring.start(tmp_path, cluster.environment)
    await_blocks(tmp_path, 20, process)
    cluster.kill(2)
    time.sleep(1)
    cluster.start(2)
    assert process.wait(400) == 0, process.communicate()[1]
    assert_each_row_once(tmp_path)


def test_the_run_is_killed_and_goes_on_where_it_was(scoring: Scoring, tmp_path: Path) -> None:
    killed = scoring.start(tmp_path)
    await_blocks(tmp_path, 20, killed)
    killed.kill()
    killed.communicate()
    first = {file.name: file.stat().st_mtime_ns for file in tmp_path.glob("part-*")}
    assert len(first) < ROWS // BLOCK
    again = scoring.start(tmp_path)
    _, said = again.communicate(timeout=400)
    assert again.returncode == 0, said
    assert f"of {ROWS // BLOCK} blocks are there already" in said
    assert_each_row_once(tmp_path)
    kept = {name for name, time_ in first.items() if (tmp_path / name).stat().st_mtime_ns == time_}
    assert kept == {*first}, "blocks that were there were not written again"
    refused = scoring.start(tmp_path)
    assert refused.wait(240) == 0, "nothing is left to do"


def test_a_signal_ends_it_and_the_terminal_has_nothing_of_rays(scoring: Scoring, tmp_path: Path) -> None:
    stopped = scoring.start(tmp_path)
    await_blocks(tmp_path, 2, stopped)
    stopped.terminate()
    told, said = stopped.communicate(timeout=240)
    assert (stopped.returncode, told) == (143, "")
    assert [line for line in said.splitlines() if "rows/s" not in line] == [
        "finding where the rows of 1 file lie",
        "score: stopped. The same command goes on with the blocks that are not there",
    ]


def test_what_a_worker_cannot_read_is_one_sentence(scoring: Scoring, tmp_path: Path) -> None:
    changing = replace(scoring, rows=Path(shutil.copy(scoring.rows, tmp_path)))
    process = changing.start(tmp_path / "out")
    await_blocks(tmp_path / "out", 1, process)
    with changing.rows.open("a") as rows:
        rows.write("one,more\n")
    told, said = process.communicate(timeout=240)
    assert (process.returncode, told) == (2, "")
    assert said.splitlines()[-1] == "score: rows.csv has changed since the run began"
    assert "Traceback" not in said
