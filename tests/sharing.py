"""What a test run makes once, whichever of its processes needs it first; and which tests keep to one process."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from xdist.scheduler import LoadScopeScheduling

TOGETHER = ("tests/browser/", "tests/images/")  # what all of their tests ask is started once

Make = Callable[[Path], object]


def group(nodeid: str) -> str:
    return next((folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid.partition("::")[0])


class Scheduling(LoadScopeScheduling):
    """A file's tests stay in one process, with the fixtures that they share."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


def made_once(request: pytest.FixtureRequest, name: str, make: Make) -> Path:
    """The folder that `make` filled, in this process or another. Who would change it changes a copy."""
    base = request.getfixturevalue("tmp_path_factory").getbasetemp()
    base = base.parent if hasattr(request.config, "workerinput") else base
    folder, whole = base / "shared" / name, base / "shared" / f"{name}.whole"
    folder.parent.mkdir(exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            whole.touch()
    return folder
