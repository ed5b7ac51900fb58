"""python tests/parts.py [CHOICE...]: projects less a part, or less PART+PART, pass their own checks: `invoke parts`.

A choice is what a project leaves out: by default each part alone and a few combinations. Every project is made of
what is here, committed or not, and is run by this Python as if it were installed: style, types, unit tests, its
pages and site, one pipeline.
"""

import importlib.metadata
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from checkout import ROOT, copy_repository

from boatyard.template.making.answers import Answers
from boatyard.template.making.parts import MANIFEST, Manifest, read_manifest
from boatyard.template.making.rendering import make_project

NAME = "fraud-watch"
COMBINATIONS = (
    "cloud+detection+image+protein+regression+table",  # texts classified, on a machine of one's own
    "benchmarks+cloud+frontend+monitor",
    "classification+cloud+detection+image+protein+text",  # numbers from tables
)


def make(folder: Path, without: Sequence[str], manifest: Manifest) -> Path:
    """A project of what is here, with what an installer would write beside it; returns its folder."""
    project = copy_repository(folder / "project")
    make_project(project, manifest, Answers(NAME, author="Ada", year=2026, without=tuple(without)))
    told = importlib.metadata.distribution("boatyard").read_text("METADATA")
    assert told
    installed = folder / "installed" / "fraud_watch-0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text(told.replace("boatyard", NAME))
    return project


def python(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a module in the project."""
    path = f"{project / 'src'}{os.pathsep}{project.parent / 'installed'}"
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run([sys.executable, "-m", *words], cwd=project, env=environment, capture_output=True, text=True)


def checks(cache: str) -> Iterator[tuple[str, list[str]]]:
    """What a project runs, by what it is for. `cache`: a folder for what mypy has found of what all projects share."""
    yield "style", ["ruff", "check", "--no-cache"]
    yield "format", ["ruff", "format", "--check", "--no-cache"]
    yield "types", ["mypy", f"--cache-dir={cache}"]
    yield "fixtures", ["pytest", "-q", "--tb=short", "--setup-plan", "tests"]  # of the tests that are not run here
    yield "unit tests", ["pytest", "-q", "--tb=short", "--numprocesses=2", "tests/unit", "-m", "not slow"]
    pages = "tests/docs/test_commands_in_docs.py"
    yield "pages", ["pytest", "-q", "--tb=short", pages, "-k", "not commands_of_a_page"]  # which take minutes
    yield "site", ["mkdocs", "build", "--strict", "--quiet"]
    yield "pipeline", ["fraud_watch.pipeline", "experiment=debug", "tracking=none"]


def choices(manifest: Manifest) -> list[str]:
    return [*manifest.parts, *COMBINATIONS]


def failures(choice: str, manifest: Manifest, cache: str) -> Iterator[str]:
    """The checks that a project without `choice` does not pass; each is told with its time."""
    with TemporaryDirectory(prefix="parts-") as folder:
        project = make(Path(folder), choice.split("+"), manifest)
        for name, words in checks(cache):
            began = time.monotonic()
            done = python(project, *words)
            verdict = "FAILED" if done.returncode else "ok"
            print(f"{choice}: {name}: {verdict}, {time.monotonic() - began:.0f} s", flush=True)
            if done.returncode:
                print(done.stdout[-20000:], done.stderr[-8000:], sep="\n", flush=True)
                yield f"{choice}: {name}"


def main(chosen: Sequence[str]) -> int:
    manifest = read_manifest(ROOT / MANIFEST)
    with TemporaryDirectory(prefix="types-") as cache:
        failed = [each for choice in chosen or choices(manifest) for each in failures(choice, manifest, cache)]
    print(f"failed: {', '.join(failed)}" if failed else "all of them pass")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
