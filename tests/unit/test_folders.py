"""A folder that is replaced: whatever ends the process, and whoever does the same, one of the two is whole."""

import multiprocessing
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from boatyard.config.compose import load_config
from boatyard.storage.folders import clean_up, recovered, replacing
from boatyard.storage.outputs import keep_output, restore_outputs
from boatyard.train.checkpoints import Checkpoints

pytestmark = pytest.mark.unit

FILES = ("a", "b", "inner/c")


def write(folder: Path, text: str) -> None:
    for name in FILES:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def replace(folder: Path, text: str) -> None:
    with replacing(folder) as staging:
        write(staging, text)


def content(folder: Path) -> str:
    """The text that all of its files hold."""
    (text,) = {(folder / name).read_text() for name in FILES}
    return text


def dying(work: Callable[[], None], step: int) -> bool:
    """Whether a process that dies before its `step`th rename or removal came that far."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    left = iter(range(step))

    def dies(real: Callable[..., object]) -> Callable[..., object]:
        def counted(*given: object, **more: object) -> object:
            if next(left, None) is None:
                os._exit(9)
            return real(*given, **more)

        return counted

    Path.rename = dies(Path.rename)  # type: ignore[assignment, method-assign]
    os.unlink, os.rmdir = dies(os.unlink), dies(os.rmdir)  # type: ignore[assignment]
    work()
    os._exit(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_at_whatever_step_a_process_dies_the_old_or_the_new_is_whole(tmp_path: Path) -> None:
    step = 0
    while True:
        folder = tmp_path / f"{step}" / "report"
        replace(folder, "old")
        came_there = dying(lambda folder=folder: replace(folder, "new"), step)  # type: ignore[misc]
        assert content(recovered(folder)) == ("old" if step < 2 else "new")
        replace(folder, "newer")
        assert content(folder) == "newer"
        replace(folder, "newest")
        assert not list(folder.parent.glob(".*~*")), "nothing that was set aside is left"
        if not came_there:
            break
        step += 1
    assert step > 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_what_was_half_removed_is_never_put_back(tmp_path: Path) -> None:
    for step in range(8):
        folder = tmp_path / f"{step}" / "report"
        replace(folder, "old")
        dying(lambda folder=folder: replace(folder, "new"), step)  # type: ignore[misc]
        recovered(folder)
        shutil.rmtree(folder)
        if recovered(folder).exists():
            assert content(folder) == "old"


def test_a_replacement_that_fails_leaves_the_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "report"
    replace(folder, "old")
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if target == folder and "~" not in path.name:
            raise PermissionError("another program has it open")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(PermissionError):
        replace(folder, "new")
    assert content(folder) == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["report"]


def _many(folder: Path, text: str) -> None:
    for _ in range(50):
        replace(folder, text)


def test_processes_that_replace_one_folder_at_once_leave_one_of_theirs(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    processes = [multiprocessing.Process(target=_many, args=(folder, text)) for text in "xyz"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert content(recovered(folder)) in "xyz"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_what_dvc_keeps_is_brought_back_after_a_crash(tmp_path: Path) -> None:
    places = [f"paths.{place}={tmp_path / place}" for place in ("processed", "runs", "outputs")]
    config = load_config(places)
    network = tmp_path / "runs" / "ferry" / "0b1c" / "network"
    network.mkdir(parents=True)
    write(network, "old")
    keep_output(config, "network", network)
    write(network, "new")
    assert dying(lambda: keep_output(config, "network", network), 1)
    assert not (tmp_path / "outputs" / "network").exists()
    shutil.rmtree(network)
    restore_outputs(config)
    assert content(network) == "old"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_checkpoint_that_was_being_replaced_is_the_newest_still(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=1)

    def checkpoint(text: str) -> None:
        with checkpoints.writing(5, best=None) as folder:
            write(folder, text)

    checkpoint("old")
    assert dying(lambda: checkpoint("new"), 1)
    assert checkpoints.steps() == []
    newest = checkpoints.newest()
    assert newest is not None
    assert content(newest) == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint-5"]


def test_clearing_up_leaves_everything_else(tmp_path: Path) -> None:
    replace(tmp_path / "report", "whole")
    (tmp_path / ".report-x1").mkdir()
    (tmp_path / ".report.lock").touch()
    clean_up(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [".report.lock", "report"]
