"""The commit that a bundle states: that of the code which made it, or none."""

import subprocess
from pathlib import Path

import pytest

from boatyard.cloud.checkout import read_checkout
from boatyard.train.tracking import git_commit

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def no_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BOATYARD_COMMIT", raising=False)


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=x", "-c", "user.email=x@localhost")
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def project(folder: Path) -> Path:
    """Its package's folder."""
    package = folder / "src" / "package"
    package.mkdir(parents=True)
    (package / "code.py").touch()
    return package


def repository(folder: Path, *files: str) -> str:
    """A repository that tracks so much of the folder; its commit."""
    folder.mkdir(exist_ok=True)
    git(folder, "init", "-q")
    if files:
        git(folder, "add", *files)
    git(folder, "commit", "-q", "--allow-empty", "-m", "one")
    return git(folder, "rev-parse", "HEAD")


def test_a_projects_own_repository_states_its_commit_and_whether_files_differ(tmp_path: Path) -> None:
    package = project(tmp_path)
    commit = repository(tmp_path, ".")
    assert git_commit(package) == commit
    (tmp_path / "configs.yaml").touch()
    assert git_commit(package) == f"{commit}+changes"


@pytest.mark.parametrize("ignored", [False, True])
def test_another_projects_repository_around_it_is_not_stated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ignored: bool
) -> None:
    (tmp_path / "README").touch()
    (tmp_path / ".gitignore").write_text("vendor/\n" if ignored else "")
    repository(tmp_path, ".")
    package = project(tmp_path / "vendor" / "boatyard")
    assert git_commit(package) is None
    monkeypatch.chdir(package.parents[1])
    assert read_checkout() is None


def test_one_repository_of_many_projects_states_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = project(tmp_path / "models" / "tickets")
    commit = repository(tmp_path, ".")
    assert git_commit(package) == commit
    monkeypatch.chdir(package.parents[1])
    checkout = read_checkout()
    assert checkout is not None
    assert (checkout.commit, checkout.changed) == (commit, False)


@pytest.mark.parametrize("variable", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"])
def test_the_repository_whose_hook_runs_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    other = tmp_path / "other"
    repository(other)
    package = project(tmp_path / "project")
    commit = repository(tmp_path / "project", ".")
    lonely = project(tmp_path / "lonely")
    places = {"GIT_DIR": other / ".git", "GIT_WORK_TREE": other, "GIT_INDEX_FILE": other / ".git" / "index"}
    monkeypatch.setenv(variable, str(places[variable]))
    assert git_commit(package) == commit
    assert git_commit(lonely) is None


def test_without_a_commit_a_repository_or_git_nothing_is_stated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = project(tmp_path)
    assert git_commit(package) is None
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    assert git_commit(package) is None
    git(tmp_path, "commit", "-qm", "one")
    assert git_commit(package) is not None
    with monkeypatch.context() as distrusted:
        distrusted.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
        assert git_commit(package) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit(package) is None
