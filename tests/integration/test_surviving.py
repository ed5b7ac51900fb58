"""What a training run survives: SIGKILL anywhere, SIGTERM, torn checkpoints, a full disk; and what ends it: NaN."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import doomed
import pytest
import torch
import warm
from plants import write_plants
from safetensors.torch import load_file
from stages import SMALL, plants_config

from boatyard.config.compose import load_config
from boatyard.config.errors import UserError
from boatyard.data.encode import encode
from boatyard.data.prepare import prepare
from boatyard.train.checkpoints import Checkpoints
from boatyard.train.fit import train
from boatyard.train.trained import open_trained, run_folder

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROWS = 78  # of the plants' 120 are in train
STEPS_AN_EPOCH = 5
STEPS = 3 * STEPS_AN_EPOCH
SURVIVING = (
    "train.num_train_epochs=3",
    "model.text.word_dropout=0.2",  # so that the state of the random numbers counts
    "train.save_strategy=steps",
    "train.save_steps=4",
    "train.eval_strategy=epoch",
)


def overrides(root: Path, *more: str) -> list[str]:
    rows = write_plants(root.parent / "plants.csv")
    places = [f"paths.{place}={root / place}" for place in ("processed", "runs", "reports", "storage")]
    plants = [f"data.path={rows}", "data.name=plants", "data.text_columns=[question]", "data.target=topic"]
    return [*SMALL, "data=csv", *plants, *places, *SURVIVING, *more]


def weights(given: list[str]) -> dict[str, torch.Tensor]:
    config = load_config(given)
    return load_file(open_trained(config, encode(config, prepare(config))).folder / "model.safetensors")


def checkpoint_steps(root: Path) -> list[int]:
    return sorted(int(folder.name.partition("-")[2]) for folder in root.glob("runs/plants/*/checkpoints/checkpoint-*"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    root = tmp_path_factory.mktemp("whole") / "run"
    process = doomed.start(overrides(root), root.parent / "notes")
    process.join()
    assert process.exitcode == 0
    return root


def test_killed_at_three_random_steps_it_ends_with_the_same_weights_and_every_row_seen_once_an_epoch(
    whole: Path, tmp_path: Path
) -> None:
    root, notes = tmp_path / "run", tmp_path / "notes"
    for step in sorted(random.sample(range(1, STEPS + 1), 3)):
        process = doomed.start(overrides(root), notes, die_at=step)
        process.join()
        assert process.exitcode == -signal.SIGKILL, step
    process = doomed.start(overrides(root), notes)
    process.join()
    assert process.exitcode == 0

    expected, found = weights(overrides(whole)), weights(overrides(root))
    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())
    rows = doomed.seen(notes)
    assert rows == doomed.seen(whole.parent / "notes")
    assert sorted(rows) == [*range(1, STEPS + 1)]
    starts = range(1, STEPS, STEPS_AN_EPOCH)
    epochs = [[row for step in range(start, start + STEPS_AN_EPOCH) for row in rows[step]] for start in starts]
    assert [Counter(epoch) for epoch in epochs] == [Counter(range(ROWS))] * 3
    assert epochs[0] != epochs[1], "another epoch has another order"


def test_killed_while_writing_a_checkpoint_it_goes_on_from_the_one_before(whole: Path, tmp_path: Path) -> None:
    root, notes = tmp_path / "run", tmp_path / "notes"
    recorded = overrides(root, "tracking.mode=offline")
    process = doomed.start(recorded, notes, die_writing=12)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert checkpoint_steps(root) == [4, 8], "what was being written is no checkpoint"

    process = doomed.start(recorded, notes)
    process.join()
    assert [json.loads(line)[0] for line in notes.read_text().splitlines()] == [*range(1, 13), *range(9, STEPS + 1)]
    expected, found = weights(overrides(whole)), weights(overrides(root))
    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())
    assert not list(root.glob("runs/plants/*/checkpoints/.checkpoint-*"))
    names = [folder.name.rpartition("-")[2] for folder in root.glob("runs/wandb/offline-run-*")]
    assert len(names) == 2
    assert len(set(names)) == 1, "it goes on in its run of W&B"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_step_keeps_a_checkpoint_and_the_same_command_goes_on(
    tmp_path: Path, number: signal.Signals
) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    command = "boatyard.train", overrides(tmp_path / "run", "train.num_train_epochs=400")
    process = warm.command(*command, first)
    assert process.pid is not None
    while not checkpoint_steps(tmp_path / "run"):
        assert process.is_alive(), first.read_text()
        time.sleep(0.05)
    os.kill(process.pid, number)
    process.join(10)
    assert process.exitcode == 128 + number
    last = checkpoint_steps(tmp_path / "run")[-1]
    assert f"Step {last} of 2000 is kept" in first.read_text()
    assert "Traceback" not in first.read_text()

    process = warm.command(*command, again)
    while not re.search(
        rf"going on from {tmp_path}\S*/checkpoint-{last}\b", again.read_text() if again.exists() else ""
    ):
        assert process.is_alive()
        time.sleep(0.05)
    process.kill()
    process.join()


def test_a_torn_or_changed_checkpoint_is_passed_over_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = Checkpoints(tmp_path, keep=None)
    for step in (1, 2, 3):
        with checkpoints.writing(step, best=None) as folder:
            (folder / "model.safetensors").write_bytes(bytes(range(256)))
    (tmp_path / "checkpoint-3" / "checkpoint.json").unlink()
    flipped = tmp_path / "checkpoint-2" / "model.safetensors"
    flipped.write_bytes(bytes([1, *range(1, 256)]))

    assert checkpoints.newest() == tmp_path / "checkpoint-1"
    assert "checkpoint-3 is incomplete: it has no checkpoint.json" in caplog.text
    assert "checkpoint-2 was changed: model.safetensors differs from its checksum" in caplog.text


def test_the_last_few_checkpoints_and_the_best_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in range(1, 6):
        with checkpoints.writing(step, best=1) as folder:
            (folder / "weights").write_bytes(b"w")
    assert checkpoints.steps() == [1, 4, 5]


def test_on_another_machine_it_goes_on_from_what_was_copied_to_storage(whole: Path, tmp_path: Path) -> None:
    root, notes, stored = tmp_path / "run", tmp_path / "notes", tmp_path / "stored"
    mirrored = overrides(root, f"paths.checkpoints={stored}", "train.save_total_limit=2")
    process = doomed.start(mirrored, notes, die_at=14)
    process.join()
    (run,) = root.glob("runs/plants/*")
    copies = stored / "plants" / run.name
    assert any(copies.glob("checkpoint-*/checkpoint.json"))

    shutil.rmtree(root)  # the machine is gone
    process = doomed.start(mirrored, notes)
    process.join()
    assert process.exitcode == 0
    steps = [json.loads(line)[0] for line in notes.read_text().splitlines()]
    assert steps[14] > 1, "it did not begin anew"
    expected, got = weights(overrides(whole)), weights(mirrored)
    assert all(torch.equal(tensor, got[name]) for name, tensor in expected.items())
    assert sorted(seal.parent.name for seal in copies.glob("*/checkpoint.json")) == ["checkpoint-12", "checkpoint-15"]


def test_a_full_disk_ends_the_run_with_one_sentence_and_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode:
        pytest.skip("needs unshare and user namespaces, for a small file system of its own")
    small, kept = tmp_path / "small", tmp_path / "kept"
    small.mkdir()
    command = [sys.executable, "-m", "boatyard.train", *overrides(tmp_path / "run", f"paths.runs={small}")]
    command.append("train.save_total_limit=null")
    script = 'mount -t tmpfs -o size=700k tmpfs "$0" && "$@"; status=$?; cp -r "$0" "$KEPT"; exit $status'
    ended = subprocess.run(
        ["unshare", "-Urm", "env", f"KEPT={kept}", "sh", "-c", script, str(small), *command],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2, ended.stderr
    (said,) = [line for line in ended.stderr.splitlines() if "the checkpoint of step" in line]
    assert "could not be written" in said
    assert "Traceback" not in ended.stderr
    (folder,) = kept.glob("plants/*/checkpoints")
    checkpoints = Checkpoints(folder, keep=None)
    last = checkpoints.steps()[-1]
    assert f"the one of step {last} is intact" in said
    assert checkpoints.newest() == folder / f"checkpoint-{last}"


def test_a_loss_that_is_no_number_ends_the_run_and_names_the_step_and_the_rows(tmp_path: Path) -> None:
    config = plants_config(tmp_path, write_plants(tmp_path / "plants.csv"), "train.learning_rate=1e30")
    prepared = prepare(config)
    with pytest.raises(UserError, match=r"the loss became (nan|inf) at step \d+, on the training rows plants\.csv:\d+"):
        train(config, prepared, encode(config, prepared))


def test_two_processes_do_not_train_one_run(tmp_path: Path) -> None:
    from filelock import FileLock

    config = plants_config(tmp_path, write_plants(tmp_path / "plants.csv"))
    prepared = prepare(config)
    encoded = encode(config, prepared)
    run = run_folder(config, encoded)
    run.mkdir(parents=True)
    with FileLock(run / ".lock"), pytest.raises(UserError, match="another process is training"):
        train(config, prepared, encoded)


@pytest.mark.parametrize("resume", ["auto", "never"])
def test_a_run_can_be_begun_anew(tmp_path: Path, resume: str) -> None:
    root, notes = tmp_path / "run", tmp_path / "notes"
    process = doomed.start(overrides(root), notes, die_at=6)
    process.join()
    process = doomed.start(overrides(root, f"train.resume={resume}"), notes)
    process.join()
    steps = [json.loads(line)[0] for line in notes.read_text().splitlines()]
    assert steps[6] == (5 if resume == "auto" else 1)
