"""The command line: help at once, one sentence for what is wrong, exit status 2."""

import errno
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from boatyard.config.cli import run
from boatyard.config.compose import load_config, options
from boatyard.pipeline.__main__ import WRITES

pytestmark = pytest.mark.unit

STAGES = ("data", "train", "evaluate", "export", "pipeline")


def boatyard(stage: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", f"boatyard.{stage}", *words], capture_output=True, text=True)


@pytest.mark.parametrize("stage", STAGES)
def test_help_shows_the_choices(stage: str) -> None:
    shown = boatyard(stage, "--help")
    assert shown.returncode == 0
    assert f"python -m boatyard.{stage}" in shown.stdout
    assert f"model=      {' | '.join(options('model'))}" in shown.stdout


def test_help_imports_nothing_heavy() -> None:
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "boatyard.train", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in shown.stderr.splitlines()}
    assert "boatyard.config.compose" in imported
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


def in_vain(_: object) -> None:
    raise AssertionError("what cannot be kept is not worked for")


@pytest.mark.parametrize("key", ["processed", "runs", "reports", "storage", "checkpoints", "outputs"])
@pytest.mark.parametrize("place", ["a file", "below a file", "no place to write", "too long"])
def test_a_place_that_cannot_be_written_is_one_sentence_before_the_work(
    key: str, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    root = {
        "a file": tmp_path / "file",
        "below a file": tmp_path / "file" / "x",
        "no place to write": Path("/proc/boatyard"),
        "too long": tmp_path / ("x" * 300),
    }[place]
    assert run("train", "", in_vain, [f"paths.{key}={root}"], WRITES) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith(f"train: paths.{key}")
    assert str(root) in sentence
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "below",
    ["runs/{name}", "reports/evaluation", "reports/data/{name}", "storage/models", "storage/models/{name}/aliases"],
)
def test_a_file_in_the_way_below_a_place_is_found_too(
    below: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / below.format(name=load_config().data.name)
    file.parent.mkdir(parents=True)
    file.touch()
    places = [f"paths.{key}={tmp_path / key}" for key in ("runs", "reports", "storage", "processed")]
    assert run("train", "", in_vain, places, WRITES) == 2
    assert f"{file}: not a directory" in capsys.readouterr().err


def test_what_may_be_written_is_worked_for_and_left_as_it_was(tmp_path: Path) -> None:
    done: list[object] = []
    assert run("train", "", done.append, [f"paths.{key}={tmp_path}/a/b" for key in ("runs", "reports")], WRITES) == 0
    assert done
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "rows.csv"), "data: rows.csv: permission denied"),
        (OSError(errno.ENOSPC, "No space left on device"), "data: no space left on device"),
        (OSError(errno.EXDEV, "Cross-device link", "a", None, "b"), "data: a to b: cross-device link"),
        (
            shutil.Error([("a", "b", "[Errno 28] No space left: 'b'"), ("c", "d", "x")]),
            "data: [Errno 28] No space left: 'b'",
        ),
        (OSError("Failed to open local file 'x'.\nDetail: errno 13"), "data: Failed to open local file 'x'."),
    ],
)
def test_a_refusal_of_the_system_is_one_sentence(
    error: OSError, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: object) -> None:
        raise error

    assert run("data", "", refuse, []) == 2
    assert capsys.readouterr().err == f"{sentence}\n"


def closed_file() -> None:
    """As datasets' writer does."""
    try:
        raise OSError(errno.ENOSPC, "No space left on device")
    finally:
        raise ValueError("I/O operation on closed file")


def serializing() -> None:
    """As safetensors, which is not written in Python, does."""
    raise RuntimeError('Error while serializing: I/O error: No space left on device (os error 28) "x"')


@pytest.mark.parametrize("library", [closed_file, serializing])
def test_a_full_disk_is_one_sentence_whatever_a_library_makes_of_it(
    library: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("data", "", lambda _: library(), []) == 2
    told = "no space left on device: free some space and run the same command again to resume"
    assert capsys.readouterr().err == f"data: {told}\n"


def test_what_nobody_foresaw_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        run("data", "", lambda _: 1 / 0, [])
