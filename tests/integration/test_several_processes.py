"""Training under torchrun: rows are shared out, one process writes, and none waits for a dead one."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from plants import write_plants
from stages import SMALL

from boatyard.registry import aliases, versions
from boatyard.storage import open_storage

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def torchrun(root: Path, *overrides: str, restarts: int = 0, module: str = "boatyard.train") -> "subprocess.Popen[str]":
    rows = write_plants(root / "plants.csv")
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", f"--max-restarts={restarts}"]
    plants = [f"data.path={rows}", "data.name=plants", "data.text_columns=[question]", "data.target=topic"]
    places = [f"paths.{part}={root / part}" for part in ("processed", "runs", "reports", "storage")]
    return subprocess.Popen(
        [sys.executable, "-m", *launcher, "-m", module, *SMALL, "data=csv", *plants, *places, *overrides],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # torch's store, shared among attempts, at times hands a restarted process the address of the dead one
        env={**os.environ, "OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"},
        start_new_session=True,
    )


def ranks(launcher: "subprocess.Popen[str]") -> list[int]:
    """The process ids of the two that train."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    return [int(child) for child in children if b"boatyard.train" in Path(f"/proc/{child}/cmdline").read_bytes()]


def wait_for_checkpoint(root: Path, launcher: "subprocess.Popen[str]") -> None:
    while not list(root.glob("runs/plants/*/checkpoints/checkpoint-*")):
        assert launcher.poll() is None, launcher.communicate()[0]
        time.sleep(0.05)


def test_the_pipeline_under_torchrun_shares_the_rows_and_one_process_writes_tracks_and_publishes(
    tmp_path: Path,
) -> None:
    short = "tracking=offline", "train.num_train_epochs=12", "train.per_device_train_batch_size=8"
    launcher = torchrun(tmp_path, *short, module="boatyard.pipeline")
    said, _ = launcher.communicate()
    assert launcher.returncode == 0, said
    (facts,) = tmp_path.glob("runs/plants/*/network/training.json")
    trained = json.loads(facts.read_text())
    assert trained["steps"] == 12 * 5, "12 epochs of 78 rows, 2 processes of 8 rows each"
    assert trained["validation"]["accuracy"] >= 0.75  # one process reaches 0.92
    assert len(list(tmp_path.glob("runs/wandb/offline-run-*"))) == 1
    assert len(re.findall(r"\| 0/60 ", said)) == 1, "one progress bar"
    (version,) = versions(storage := open_storage(str(tmp_path / "storage")), "plants")
    assert aliases(storage, "plants") == {"production": version}
    for once in ("M parameters on 78 rows", "plants@production is now", "fitting the baseline", "answered"):
        assert said.count(once) == 1


def test_when_one_process_is_killed_the_other_ends_within_a_minute(tmp_path: Path) -> None:
    launcher = torchrun(tmp_path, "train.num_train_epochs=4000", "train.save_strategy=steps", "train.save_steps=5")
    wait_for_checkpoint(tmp_path, launcher)
    os.kill(ranks(launcher)[1], signal.SIGKILL)
    said, _ = launcher.communicate(timeout=60)
    assert launcher.returncode != 0
    assert "another process of this run ended" in said


def test_restarted_by_torchrun_it_goes_on_from_the_checkpoint(tmp_path: Path) -> None:
    launcher = torchrun(
        tmp_path, "train.num_train_epochs=40", "train.save_strategy=steps", "train.save_steps=5", restarts=1
    )
    wait_for_checkpoint(tmp_path, launcher)
    os.kill(ranks(launcher)[1], signal.SIGKILL)
    said, _ = launcher.communicate()
    assert launcher.returncode == 0, said
    assert re.search(r"going on from \S+checkpoint-\d+", said)
    assert list(tmp_path.glob("runs/plants/*/network/model.safetensors"))
