"""A clean git repository with what is deployed from one."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def make_checkout(folder: Path) -> Path:
    """The folder, with deploy/ as it is here, all committed."""
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
