"""docs/checklist.md: each file that it names is there, and each task can be run."""

import re
import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "checklist.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| item |")
]
TASKS = set(runpy.run_path(str(ROOT / "tasks.py"))["namespace"].task_names)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_an_item_has_its_files_and_tasks(row: list[str]) -> None:
    _, command, files = row
    named = re.findall(r"`([^`]+)`", files)
    assert named
    assert not [name for name in named if not (ROOT / name).exists()]
    assert set(re.findall(r"`invoke (?!-)([\w.-]+)", command)) <= TASKS
    assert set(re.findall(r"-o (\w+)=(\w+)", command)) <= {
        (file.parent.name, file.stem) for file in (ROOT / "configs").glob("*/*.yaml")
    }
