"""requirements/: what the images install."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
ALL = ", ".join(f"requirements/{name}.txt" for name in ("api", "frontend", "monitor", "trainer"))
FILES = sorted((ROOT / "requirements").glob("*.txt"))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def check(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, root / "requirements/lock.py", "--check"]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_pinned_requirements_are_those_of_pyproject(copy: Path) -> None:
    assert (check(copy).returncode, check(copy).stderr) == (0, "")


@pytest.mark.parametrize(
    ("was", "becomes", "stale"),
    [
        ('"numpy>=2.0"', '"numpy>=2.1"', ALL),
        ('"torch>=2.9"', '"torch>=2.10"', "requirements/trainer.txt"),
        ('"hatchling>=1.27", ', "", "requirements/build.txt"),
        ('exclude-newer = "2026', 'exclude-newer = "2027', f"{ALL}, requirements/build.txt"),
        ('"evidently>=0.7.23"', '"evidently>=0.7.24"', "requirements/monitor.txt"),
    ],
)
def test_they_are_stale_where_pyproject_says_otherwise(copy: Path, was: str, becomes: str, stale: str) -> None:
    project = copy / "pyproject.toml"
    assert was in project.read_text()
    project.write_text(project.read_text().replace(was, becomes))
    checked = check(copy)
    assert checked.returncode == 1
    assert checked.stderr.startswith(stale)
    assert checked.stderr.endswith(": pyproject.toml says otherwise by now: run `uv run invoke lock`\n")


def test_what_only_development_needs_makes_none_of_them_stale(copy: Path) -> None:
    project = copy / "pyproject.toml"
    project.write_text(project.read_text().replace('"invoke>=2.2"', '"invoke>=2.3"'))
    assert check(copy).returncode == 0


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_is_pinned_by_hash_and_names_no_host(file: Path) -> None:
    text = file.read_text()
    assert "://" not in text
    assert "-e " not in text
    requirements = re.split(r"\n(?=\S)", text.strip())[1:]
    assert len(requirements) > 5
    for requirement in requirements:
        assert re.match(r"[a-z0-9-]+==\S+", requirement), requirement
        assert "--hash=sha256:" in requirement, requirement


@pytest.mark.parametrize(
    ("name", "unwanted"),
    [
        ("api", "torch|transformers|pandas|pyarrow|hydra-core|nvidia-.*"),
        ("frontend", "torch|transformers|scipy|hydra-core|nvidia-.*|fastapi|onnxruntime|tokenizers"),
        ("monitor", "torch|transformers|streamlit|hydra-core|nvidia-.*"),
    ],
)
def test_what_serves_installs_nothing_of_what_trains(name: str, unwanted: str) -> None:
    assert not re.search(rf"^({unwanted})==", (ROOT / "requirements" / f"{name}.txt").read_text(), re.M)
