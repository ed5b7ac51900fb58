"""Folders that are built once in a test run, by whichever process needs them first; and tests that share a process."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from xdist.scheduler import LoadScopeScheduling

TOGETHER = ("tests/browser/", "tests/images/")  # their tests share servers that are started once

Make = Callable[[Path], object]


def group(nodeid: str) -> str:
    return next((folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid.partition("::")[0])


class Scheduling(LoadScopeScheduling):
    """The tests of a file run in one process, with their shared fixtures."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


def made_once(request: pytest.FixtureRequest, name: str, make: Make) -> Path:
    """The folder that `make` filled, in this process or another. Do not change it: copy it first."""
    base = request.getfixturevalue("tmp_path_factory").getbasetemp()
    base = base.parent if hasattr(request.config, "workerinput") else base
    folder, complete = base / "shared" / name, base / "shared" / f"{name}.complete"
    folder.parent.mkdir(exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            complete.touch()
    return folder
