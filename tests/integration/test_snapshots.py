"""What `new`, `adopt` and `update` do to a repository, with a template of a few files whose engine takes no time."""

import json
import shlex
import subprocess
from pathlib import Path

import pytest
from checkout import commit, git

from boatyard.config.errors import Failed, UserError
from boatyard.template.__main__ import main
from boatyard.template.making import project
from boatyard.template.making.answers import Answers, read_answers
from boatyard.template.update import Pending, update
from boatyard.template.update import main as update_main

pytestmark = pytest.mark.integration

NAME = "pier39"
ENGINE = """
import json, pathlib, sys, tomllib
text = sys.stdin.read()
answers = tomllib.loads(text)
package = answers["name"].replace("-", "_")
pathlib.Path("src", "boatyard").rename(pathlib.Path("src", package))
pathlib.Path(".template.toml").write_text(text)
for path in answers["without"]:
    pathlib.Path(path).unlink()
renames = pathlib.Path("renames.json")
print(json.dumps({"package": package, "renames": json.loads(renames.read_text()) if renames.exists() else {}}))
"""
COMMANDS = "pip install uv && uv run invoke pipeline\npip install uv && uv run invoke test\n"
FILES = {
    "src/boatyard/__init__.py": "",
    "src/boatyard/template/__init__.py": "",
    "src/boatyard/template/__main__.py": ENGINE,
    "README.md": f"# The template's\n\n{COMMANDS}",
    "LICENSE": "Apache License\n",
    ".gitignore": "# what runs leave\n/runs/\n/models/*\n",
    ".python-version": "3.12\n",
    "docs/storage.md": "# Storage\n",
    "docs/serving.md": "# Serving\n",
}


@pytest.fixture(autouse=True)
def somebody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Who commits here, in a project's own copy of the engine."""
    (tmp_path / "gitconfig").write_text("[user]\nname = somebody\nemail = somebody@localhost\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    for role in ("AUTHOR", "COMMITTER"):
        for key in ("NAME", "EMAIL"):
            monkeypatch.delenv(f"GIT_{role}_{key}", raising=False)
    monkeypatch.setattr("boatyard.template.update.PACKAGE", NAME)


def repository(folder: Path, files: dict[str, str]) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    git(folder, "init", "-q", "-b", "main")
    commit(folder)
    return folder


@pytest.fixture
def template(tmp_path: Path) -> Path:
    return repository(tmp_path / "boatyard-template", FILES)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Somebody's repository."""
    return repository(tmp_path / "own", {"README.md": "# Ours\n", "ours.py": "", ".gitignore": "secret*\n"})


@pytest.fixture
def made(template: Path, tmp_path: Path) -> Path:
    """A project."""
    folder = tmp_path / NAME
    project.new(folder, Answers(NAME), str(template), None)
    return folder


def add(own: Path, template: Path) -> str:
    return project.add_to(own, Answers(NAME), str(template), None)


def change(template: Path, **files: str) -> None:
    """Go on with the template: each file as it is then; an empty one is deleted."""
    for name, content in files.items():
        path = template / "docs" / f"{name}.md"
        path.write_text(content) if content else path.unlink()
    commit(template)


def state(folder: Path) -> tuple[str, str]:
    return git(folder, "for-each-ref"), git(folder, "status", "--porcelain")


def refusal(folder: Path, act: object, *words: object, error: type[Exception] = UserError) -> str:
    """Why nothing was done."""
    before = state(folder)
    with pytest.raises(error) as refused:
        act(*words)  # type: ignore[operator]
    assert state(folder) == before
    return str(refused.value)


def test_the_commit_that_adds_the_project_is_no_snapshot_whoever_made_it(
    template: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "template")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "template@localhost")
    add(own, template)
    assert update(own, None, None) == "nothing is new in the template"
    change(template, storage="# Where things are\n")
    update(own, None, None)
    assert (own / "README.md").read_text() == "# Ours\n"
    assert (own / "ours.py").exists()
    assert (own / "docs" / "storage.md").read_text() == "# Where things are\n"


def test_a_squashed_update_is_no_snapshot(template: Path, made: Path) -> None:
    (made / "ours.py").write_text("")
    commit(made)
    change(template, later="# Later\n")
    git(made, "switch", "-q", "-c", "update")
    update(made, None, None)
    told = git(made, "log", "-1", "--format=%B", "template")
    git(made, "switch", "-q", "-")
    git(made, "merge", "-q", "--squash", "update")
    git(made, "commit", "-q", "-m", told)
    change(template, latest="# Latest\n")
    update(made, None, None)
    assert (made / "ours.py").exists()
    assert (made / "docs" / "latest.md").exists()


def test_who_has_no_name_in_git_is_asked_for_one(template: Path, own: Path) -> None:
    git(own, "config", "user.name", "")
    assert refusal(own, add, own, template).startswith("git does not know who you are: ")


def test_a_branch_of_ones_own_that_has_the_snapshots_name_is_not_moved(template: Path, own: Path, made: Path) -> None:
    git(own, "switch", "-q", "-c", "template")
    commit(own)
    for branch in ("template", "main"):
        git(own, "switch", "-q", branch)
        assert refusal(own, add, own, template).startswith("the branch template has commits of yours")
    git(made, "switch", "-q", "template")
    change(template, later="# Later\n")
    told = refusal(made, update, made, None, None)
    assert told == f"the branch template, which is the template's, is checked out in {made}: switch to your own"
    commit(made)
    git(made, "switch", "-q", "main")
    assert refusal(made, update, made, None, None).startswith("the branch template has commits of yours")


def test_a_file_that_git_ignores_is_not_overwritten(template: Path, own: Path, made: Path) -> None:
    (own / "docs").mkdir()
    (own / "docs" / "secret-plan.md").write_text("ours\n")
    (own / "secret").write_text("a file where the template has a folder\n")
    (template / "docs" / "secret-plan.md").write_text("the template's\n")
    (template / "secret").mkdir()
    (template / "secret" / "page.md").write_text("the template's\n")
    change(template)
    assert refusal(own, add, own, template).startswith("git ignores docs/secret-plan.md, secret, where the template")
    assert (own / "docs" / "secret-plan.md").read_text() == "ours\n"

    git(made, "rm", "-q", "--cached", "docs/serving.md")
    (made / ".gitignore").write_text("serving.md\nlater.md\n")
    (made / "docs" / "later.md").write_text("ours\n")
    commit(made)
    change(template, serving="# Served\n", later="# Later\n")
    assert refusal(made, update, made, None, None).startswith("git ignores docs/later.md, docs/serving.md, ")
    assert (made / "docs" / "serving.md").read_text() == "# Serving\n"


def test_what_is_left_to_merge_by_hand_is_said_line_by_line(template: Path, own: Path) -> None:
    (own / "LICENSE").write_text("Ours alone.\n")
    (own / ".python-version").write_text("3.13.1\n")
    commit(own)
    told = add(own, template).splitlines()
    snapshot = git(own, "rev-parse", "template")[:12]
    assert told == [
        "7 files of pier39 were added in one commit, and none of yours is changed",
        "Merge by hand:",
        "- LICENSE stays yours, and the template's notice is in LICENSE.template, where it must be kept: set `license` "
        "in pyproject.toml, which says Apache-2.0, to yours",
        f"- .gitignore lacks /models/*, /runs/: `git show {snapshot}:.gitignore >> .gitignore` adds them",
        "- .python-version says 3.13, and .github/workflows/ 3.12: make them agree",
        "- README.md lacks what .ci/run runs, each on a line of its own: `pip install uv && uv run invoke pipeline` "
        "and `pip install uv && uv run invoke test`",
    ]
    assert (own / "LICENSE.template").read_text() == "Apache License\n"
    assert (own / "LICENSE").read_text() == "Ours alone.\n"


def test_a_licence_by_another_name_is_pointed_out_beside_the_projects(template: Path, own: Path) -> None:
    (own / "COPYING").write_text("Ours alone.\n")
    commit(own)
    told = add(own, template)
    assert "\n- COPYING stays yours, and LICENSE, of Apache-2.0, came beside it: make them agree\n" in told


def test_a_python_that_the_project_does_not_run_on_is_refused(template: Path, own: Path) -> None:
    (own / ".python-version").write_text("3.9\n")
    commit(own)
    told = refusal(own, add, own, template)
    assert told.startswith(".python-version says 3.9, and the project runs on 3.11, 3.12, 3.13: ")


def test_what_no_project_can_be_added_to_is_refused_in_one_sentence(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (own / "services").mkdir()
    (tmp_path / "plain").mkdir()
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "-q")
    monkeypatch.chdir(own)
    for place, reason in (
        ("services", f"services is a folder of the repository {own}, and a project is added to a repository's root"),
        ("nowhere", "nowhere: there is no such folder"),
        (str(tmp_path / "plain"), f"{tmp_path / 'plain'} is not in a git repository"),
        (str(tmp_path / "empty"), f"the repository {tmp_path / 'empty'} has no commit yet"),
    ):
        assert main(["new", NAME, "--yes", f"--into={place}"]) == 2
        told = capsys.readouterr().err
        assert told.startswith(f"new: {reason}")
        assert told.count("\n") == 1


def test_a_clone_that_is_adopted_has_no_remote_that_a_push_could_go_to(template: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(template, "clone", "-q", str(template), str(clone))
    assert f"the remote origin, {template}, is removed" in project.adopt(clone, Answers(NAME))
    assert git(clone, "remote") == ""
    assert "branch" not in (clone / ".git" / "config").read_text()
    git(clone, "remote", "add", "origin", "git@localhost:pier39.git")
    assert update(clone, None, None) == "nothing is new in the template"


def test_a_conflict_says_what_to_do_with_each_file(template: Path, made: Path) -> None:
    (made / "docs" / "storage.md").write_text("# Ours\n")
    (made / "docs" / "serving.md").write_text("# Ours\n")
    (made / "mark.bin").write_bytes(b"\0ours")
    commit(made)
    (template / "mark.bin").write_bytes(b"\0theirs")
    change(template, storage="# Theirs\n", serving="")
    with pytest.raises(Failed) as failed:
        update(made, None, None)
    assert str(failed.value).split("; ") == [
        "the template deleted docs/serving.md, which you changed: `git add` keeps it, `git rm` lets it go",
        "you and the template both changed docs/storage.md: resolve what is between <<<<<<< and >>>>>>>, and `git add`",
        "you and the template both changed mark.bin: `git checkout --ours` or `--theirs` chooses, then `git add`",
        "then `git commit`, or `git merge --abort` to go back",
    ]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ([], 0),
        (["--ref=later"], 1),
        (["--ref=no-such-branch"], 2),
        ([f"--ref={'0' * 40}"], 2),
        (["--source=no/such/place"], 2),
        (["--source=https://somebody:se@cret@localhost:1/template"], 2),
        (["--source=https://somebody:se@cret@localhost:1/template", f"--ref={'0' * 40}"], 2),
    ],
)
def test_a_check_tells_what_is_new_from_what_failed_and_prints_no_password(
    template: Path,
    made: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    status: int,
) -> None:
    git(template, "switch", "-q", "-c", "later")
    change(template, later="# Later\n")
    git(template, "switch", "-q", "main")
    monkeypatch.chdir(made)
    assert update_main(["--check", *words]) == status
    told = capsys.readouterr().err
    assert told.count("\n") == (status > 0)
    assert "cret" not in told


def test_after_a_conflict_in_a_file_that_the_template_renamed_the_command_that_is_told_goes_back(
    template: Path, made: Path
) -> None:
    (made / "docs" / "storage.md").write_text("# Ours\n")
    commit(made)
    (template / "renames.json").write_text(json.dumps({"docs/storage.md": "docs/where.md"}))
    change(template, storage="", where="# Theirs\n")
    before = git(made, "rev-parse", "HEAD^{tree}", "HEAD")
    with pytest.raises(Failed) as failed:
        update(made, None, None)
    assert (made / "docs" / "where.md").exists()
    undo = str(failed.value).rpartition("or `")[2].removesuffix("` to go back")
    subprocess.run(shlex.split(undo), cwd=made, check=True, capture_output=True)
    assert git(made, "rev-parse", "HEAD^{tree}", "HEAD") == before
    assert git(made, "status", "--porcelain") == ""
    assert (made / "docs" / "storage.md").read_text() == "# Ours\n"


def test_a_merge_that_git_does_not_begin_leaves_everything_as_it_was(template: Path, made: Path) -> None:
    (template / "renames.json").write_text(json.dumps({"docs/storage.md": "docs/where.md"}))
    change(template, storage="", where="# Theirs\n")
    git(made, "config", "merge.verifySignatures", "true")
    assert refusal(made, update, made, None, None, error=Failed).startswith("git merge ")
    assert (made / "docs" / "storage.md").exists()


def test_a_merge_that_a_hook_refuses_is_the_users_to_finish(template: Path, made: Path) -> None:
    hook = made / ".git" / "hooks" / "pre-merge-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not like this >&2\nexit 1\n")
    hook.chmod(0o755)
    (made / "ours.py").write_text("")
    commit(made)
    change(template, later="# Later\n")
    with pytest.raises(Pending, match=r"not like this[\s\S]*; then `git commit`, or `git merge"):
        update(made, None, None)
    git(made, "commit", "-q", "--no-edit")
    assert update(made, None, None) == "nothing is new in the template"


def test_the_files_that_would_change_are_less_those_that_stay_deleted(template: Path, made: Path) -> None:
    git(made, "rm", "-q", "docs/storage.md", "README.md")
    git(made, "mv", "docs/serving.md", "docs/ours.md")
    commit(made)
    git(template, "mv", "docs/storage.md", "docs/where.md")
    (template / "README.md").write_text("# Anew\n")
    commit(template)
    assert update(made, None, None, look="dry-run") == "no file would change"
    change(template, serving="# Serving\n\nLater.\n")
    listed = update(made, None, None, look="dry-run").splitlines()
    assert [line.partition("|")[0].strip() for line in listed[:-1]] == ["docs/serving.md"]
    update(made, None, None)
    assert (made / "docs" / "ours.md").read_text() == "# Serving\n\nLater.\n"
    assert not (made / "docs" / "where.md").exists()


def test_one_can_look_before_committing_and_what_uv_locks_is_in_nobodys_way(template: Path, made: Path) -> None:
    change(template, storage="# Where things are\n")
    (made / "uv.lock").write_text("locked\n")
    (made / "README.md").write_text("# Mine\n")
    assert "docs/storage.md" in update(made, None, None, look="dry-run")
    assert refusal(made, lambda: update(made, None, None, look="check"), error=Pending)
    assert refusal(made, update, made, None, None).startswith("README.md is not committed")
    git(made, "checkout", "-q", "README.md")
    update(made, None, None)
    assert (made / "docs" / "storage.md").read_text() == "# Where things are\n"
    assert (made / "uv.lock").read_text() == "locked\n"


def test_a_clone_that_lacks_the_snapshot_for_being_shallow_is_told_so(made: Path, tmp_path: Path) -> None:
    (made / "ours.py").write_text("")
    commit(made)
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth=1", made.as_uri(), str(shallow))
    assert refusal(shallow, update, shallow, None, None).startswith(
        "this clone is shallow, and lacks the last snapshot"
    )


def test_a_project_that_has_all_of_the_template_is_not_adopted_again(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("boatyard.template.__main__.PACKAGE", NAME)
    monkeypatch.chdir(made)
    assert main(["adopt", "seaworthy"]) == 2
    assert capsys.readouterr().err == f"adopt: this already is a project of its own, {NAME}\n"


def test_an_answer_that_was_changed_is_merged_by_the_next_update_and_not_called_new(template: Path, made: Path) -> None:
    file = made / ".template.toml"
    file.write_text(file.read_text().replace("without = []", 'without = ["docs/serving.md"]'))
    commit(made)
    told = refusal(made, lambda: update(made, None, None, look="check"), error=Failed)
    assert told == ".template.toml has other answers than the last update: `invoke update-template` merges it"
    update(made, None, None)
    assert not (made / "docs" / "serving.md").exists()
    change(template, storage="# Where things are\n")
    told = refusal(made, lambda: update(made, None, None, look="check"), error=Failed)
    assert told.startswith("the template has something new")


def test_the_newest_state_makes_the_project_whatever_the_projects_own_engine_knows(template: Path, made: Path) -> None:
    answers = made / ".template.toml"
    answers.write_text(f'{answers.read_text()}motto = "of a later version"\n')
    commit(made)
    engine = template / "src" / "boatyard" / "template" / "__main__.py"
    engine.write_text(f'{ENGINE}pathlib.Path("motto.txt").write_text(answers["motto"])\n')
    commit(template)
    update(made, None, None)
    assert (made / "motto.txt").read_text() == "of a later version"


def test_the_packages_name_is_no_answer_to_change(made: Path) -> None:
    file = made / ".template.toml"
    file.write_text(file.read_text().replace(NAME, "pier40"))
    commit(made)
    assert refusal(made, update, made, None, None).startswith(".template.toml: name must stay that of the pack")


@pytest.mark.parametrize(
    ("engine", "error", "reason"),
    [
        (
            "import sys; sys.exit('render: .template.toml: year: must be a whole number')",
            Failed,
            ".template.toml: year",
        ),
        ("print(1, 2)", Failed, "the template's own engine answered what"),
        ("import no_such_module", Failed, "the template's own engine broke: ModuleNotFoundError: No module named 'no"),
        ("import argparse; argparse.ArgumentParser().parse_args()", Failed, "the template's own engine broke: "),
        (
            "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('command', choices=['new'])\n"
            "parser.parse_args()",
            UserError,
            "this state of the template is older than this command",
        ),
    ],
)
def test_an_engine_that_breaks_is_one_sentence(
    template: Path, made: Path, engine: str, error: type[Exception], reason: str
) -> None:
    (template / "src" / "boatyard" / "template" / "__main__.py").write_text(engine)
    commit(template)
    told = refusal(made, update, made, None, None, error=error)
    assert told.startswith(reason)
    assert "\n" not in told


class Terminal:
    """Answers in turn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
        self.asked: list[str] = []
        self.left = [*answers]
        monkeypatch.setattr("sys.stdin.isatty", lambda: True)
        monkeypatch.setattr("builtins.input", self.answer)

    def answer(self, question: str) -> str:
        self.asked.append(question.partition(",")[0].partition(" [")[0])
        return self.left.pop(0)


def answers_to(monkeypatch: pytest.MonkeyPatch, *words: str) -> Answers:
    """What `new` of these words makes a project of."""
    given: list[Answers] = []

    def new(_folder: Path, answers: Answers, *_: object) -> str:
        given.append(answers)
        return "made"

    monkeypatch.setattr(project, "new", new)
    assert main(["new", *words, "--template=somewhere"]) == 0
    return given[0]


def test_at_a_terminal_what_no_flag_says_is_asked_and_a_wrong_answer_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ("Ada", "GPL", "MIT", "3.9", "", "sound", "text", "regression", "classification", "clowd", "cloud")
    terminal = Terminal(monkeypatch, *told)
    answers = answers_to(monkeypatch, "fraud-watch", "--torch=cpu", "--description=Finds it.")
    assert terminal.left == []
    wrong = [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()]
    assert wrong == [
        "license",
        "python",
        "inputs",
        "no bundled rows are left to run the pipeline on",
        "no part 'clowd'",
    ]
    assert (answers.author, answers.license, answers.python, answers.torch) == ("Ada", "MIT", "3.12", "cpu")
    assert answers.without == ("cloud", "detection", "image", "protein", "regression", "table")


def test_a_folder_that_is_there_already_is_said_before_more_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], made: Path
) -> None:
    monkeypatch.chdir(made.parent)
    terminal = Terminal(monkeypatch, made.name)
    assert main(["new", "--template=somewhere"]) == 2
    assert capsys.readouterr().err.startswith(f"new: {made} is there already")
    assert len(terminal.asked) == 1


def test_nothing_is_asked_with_yes_nor_after_a_flag_that_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal(monkeypatch)
    assert answers_to(monkeypatch, "fraud-watch", "--yes").without == ()
    often = answers_to(monkeypatch, "fraud-watch", "--yes", "--without=scale", "--without", "cloud,monitor")
    assert often.without == ("cloud", "monitor", "scale")
    assert main(["new", "--template=somewhere", "--without=clowd"]) == 2
    assert capsys.readouterr().err == "new: no part 'clowd': did you mean cloud?\n"
    assert terminal.asked == []


@pytest.mark.parametrize(
    "wrong",
    [
        *("description = 5", 'author = ["a"]', "license = 2", "python = 3.12", "torch = true"),
        *("without = [1]", 'without = "cloud"', 'year = "x"', "year = true"),
    ],
)
def test_an_answer_of_the_wrong_kind_is_named(wrong: str) -> None:
    key = wrong.partition(" ")[0]
    with pytest.raises(UserError, match=rf"^\.template\.toml: {key}: must be "):
        read_answers(f'name = "{NAME}"\n{wrong}\n')
