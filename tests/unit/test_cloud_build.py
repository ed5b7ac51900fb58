"""What Cloud Build does, with a `docker` that only writes down what it is told."""

import os
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
DOCKER = """#!/bin/sh
echo "$@" >> "$TOLD"
case "$1" in pull) [ -f "$PULLED" ] ;; push) touch "$PULLED" ;; esac
"""


def test_what_the_trainer_installs_is_built_and_pushed_once_for_all_commits(tmp_path: Path) -> None:
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    told = tmp_path / "told"
    environment = {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "TOLD": str(told),
        "PULLED": str(tmp_path / "pulled"),
        "REGISTRY": "registry/p/boatyard",
        "PUSH": "1",
    }

    def build(commit: str) -> list[str]:
        told.unlink(missing_ok=True)
        script = ["sh", "deploy/cloudbuild/image.sh", "trainer"]
        subprocess.run(script, cwd=ROOT, env=environment | {"COMMIT": commit}, check=True, capture_output=True)
        return told.read_text().splitlines()

    pull, installs, push, first, _ = build("one")
    installed = pull.split()[-1]
    assert installed.startswith("registry/p/boatyard/trainer-installed:")
    assert f"--target installed --tag {installed}" in installs
    assert "COMMIT" not in installs
    assert push.endswith(installed)
    again = build("two")
    assert [line.split()[0] for line in again] == ["pull", "build", "run"]
    for line, commit in ((first, "one"), (again[1], "two")):
        assert f"--build-arg INSTALLED={installed}" in line
        assert f"--tag registry/p/boatyard/trainer:{commit}" in line
