"""Copies of this repository, and clean git repositories."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def copy_repository(folder: Path) -> Path:
    """Copy the files that git would commit here; returns the folder."""
    for name in git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def make_checkout(folder: Path) -> Path:
    """Make a repository with a committed copy of deploy/; returns the folder."""
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    git(folder, "init", "-q")
    for key in ("name", "email"):
        git(folder, "config", f"user.{key}", "test")
    commit(folder)
    return folder


def commit(folder: Path) -> str:
    git(folder, "add", "-A")
    git(
        folder, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-q", "--allow-empty", "-m", "test"
    )
    return git(folder, "rev-parse", "HEAD").strip()


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout
