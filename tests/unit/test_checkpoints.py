"""Checkpoints and their copies in storage: never waited for by a step, always waited for at the end."""

import shutil
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from boatyard.config.errors import UserError
from boatyard.storage import LocalStorage
from boatyard.train import checkpoints as module
from boatyard.train.checkpoints import Checkpoints, Mirror, kept

pytestmark = pytest.mark.unit


class Gated(LocalStorage):
    """Storage that takes its time: an upload waits until the gate opens."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.uploaded: list[str] = []

    def upload(self, folder: Path, prefix: str, names: Iterable[str] | None = None) -> None:
        self.begun.set()
        assert self.gate.wait(10)
        super().upload(folder, prefix, names)
        self.uploaded.append(folder.name)


class Broken(LocalStorage):
    """Storage that fails the first `failures` times."""

    def __init__(self, root: Path, failures: int) -> None:
        super().__init__(root)
        self.failures = failures

    def upload(self, folder: Path, prefix: str, names: Iterable[str] | None = None) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("the line is down")
        super().upload(folder, prefix, names)


def write(checkpoints: Checkpoints, step: int) -> None:
    with checkpoints.writing(step, best=None) as folder:
        (folder / "weights").write_text(f"of step {step}")


def test_no_step_waits_for_a_copy_and_the_end_waits_for_the_newest(tmp_path: Path) -> None:
    storage = Gated(tmp_path / "stored")
    checkpoints = Checkpoints(tmp_path / "here", keep=1, mirror=Mirror(storage, "run", keep=1))
    write(checkpoints, 1)
    assert storage.begun.wait(10)
    for step in (2, 3, 4):
        write(checkpoints, step)  # returns, though the copy of the first one hangs
    assert checkpoints.steps() == [1, 4], "what is being copied is not removed"
    storage.gate.set()
    checkpoints.finish()
    assert storage.uploaded == ["checkpoint-1", "checkpoint-4"], "what was superseded is not copied any more"
    assert storage.list("run/") == ["run/checkpoint-4/checkpoint.json", "run/checkpoint-4/weights"]


def test_a_copy_that_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_BACKOFF", 0.0)
    mirror = Mirror(Broken(tmp_path / "stored", failures=2), "run", keep=None)
    checkpoints = Checkpoints(tmp_path / "here", keep=None, mirror=mirror)
    write(checkpoints, 1)
    checkpoints.finish()
    assert mirror.steps() == [1]


def test_storage_that_stays_away_is_told_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_BACKOFF", 0.0)
    mirror = Mirror(Broken(tmp_path / "stored", failures=99), "run", keep=None)
    checkpoints = Checkpoints(tmp_path / "here", keep=None, mirror=mirror)
    write(checkpoints, 1)
    with pytest.raises(UserError, match="could not be copied to storage: the line is down"):
        checkpoints.finish()


def test_a_torn_checkpoint_here_is_replaced_by_its_whole_copy(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "here", 2, Mirror(LocalStorage(tmp_path / "stored"), "run", keep=2))
    write(checkpoints, 1)
    write(checkpoints, 2)
    checkpoints.finish()
    (checkpoints.path(2) / "weights").write_text("torn")
    assert checkpoints.newest() == checkpoints.path(2)
    assert (checkpoints.path(2) / "weights").read_text() == "of step 2"


def test_a_copy_without_its_seal_counts_for_nothing(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "here", None, Mirror(LocalStorage(tmp_path / "stored"), "run", keep=None))
    for step in (1, 2):
        write(checkpoints, step)
    checkpoints.finish()
    shutil.rmtree(checkpoints.folder)
    (tmp_path / "stored" / "run" / "checkpoint-2" / "checkpoint.json").unlink()
    assert checkpoints.newest() == checkpoints.path(1)


def test_the_best_comes_along_with_the_newest(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "here", 1, Mirror(LocalStorage(tmp_path / "stored"), "run", keep=1))
    for step in (1, 2, 3):
        with checkpoints.writing(step, best=1) as folder:
            (folder / "weights").write_text("w")
        checkpoints.finish()
    shutil.rmtree(checkpoints.folder)
    assert checkpoints.newest() == checkpoints.path(3)
    assert checkpoints.steps() == [1, 3]


def test_what_is_kept() -> None:
    assert kept([1, 2, 3, 4], keep=2, best=1) == {1, 3, 4}
    assert kept([1, 2, 3], keep=None, best=None) == {1, 2, 3}
