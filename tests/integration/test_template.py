"""A clone of the template becomes a project of one's own, and takes what the template does later."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from checkout import commit, copy_repository, git

from boatyard.config.errors import UserError
from boatyard.template.__main__ import main
from boatyard.template.making.names import check_free
from boatyard.template.making.parts import MANIFEST
from boatyard.template.making.rendering import texts

pytestmark = [pytest.mark.integration, pytest.mark.slow]

NAME = "pier39"
OTHER_NAMES = ("fraud-watch", "class-room", "my-" + "boat" + "yard")  # the example, with a keyword, with the template's
AUTHOR = 'Boatyard Marine "Ltd"'
DESCRIPTION = "- Values houses with the monitor of Boatyard Marine. # part: cloud"
Run = Callable[..., subprocess.CompletedProcess[str]]


def fresh(template: Path, folder: Path) -> Path:
    git(template, "clone", "-q", str(template), str(folder))
    return folder


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with what is here, committed or not."""
    folder = copy_repository(tmp_path_factory.mktemp("template"))
    git(folder, "init", "-q", "-b", "main")
    commit(folder)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs Python in a project, as if the project were installed under its name."""
    home = tmp_path_factory.mktemp("home")
    (home / "gitconfig").write_text("[user]\nname = somebody\nemail = somebody@localhost\n")
    told = importlib.metadata.distribution("boatyard").read_text("METADATA")
    assert told
    for name in (NAME, *OTHER_NAMES):
        installed = home / f"{name.replace('-', '_')}-0.dist-info"
        installed.mkdir()
        (installed / "METADATA").write_text(told.replace("boatyard", name))

    def python(
        project: Path, *words: str, at: Path | None = None, given: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            "PYTHONPATH": f"{project / 'src'}{os.pathsep}{home}",
            "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        }
        command = [sys.executable, "-m", *words]
        settings = os.environ | environment
        return subprocess.run(command, cwd=at or project, env=settings, input=given, capture_output=True, text=True)

    return python


@pytest.fixture(scope="module")
def adopted(template: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No test changes it."""
    folder = fresh(template, tmp_path_factory.mktemp("projects") / "adopted")
    done = run(folder, "boatyard.template", "adopt", NAME)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def with_a_long_name(template: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another, cloned from an address with a password."""
    folder = fresh(template, tmp_path_factory.mktemp("projects") / "long")
    git(folder, "remote", "set-url", "origin", "https://somebody:secret@example.org/template.git")
    done = run(folder, "boatyard.template", "adopt", "q" * 20)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


LEFT_OUT = ("cloud", "detection", "image", "monitor", "protein", "regression", "table")
CHOSEN = ("--inputs=text", "--tasks=classification", "--without=cloud,monitor", "--license=proprietary", "--torch=cpu")


@pytest.fixture(scope="module")
def new(template: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of some parts. No test changes it."""
    folder = tmp_path_factory.mktemp("new")
    flags = ["--author=Ada Lovelace", "--python=3.13", "--description=Finds what is wrong."]
    done = run(template, "boatyard.template", "new", NAME, *CHOSEN, *flags, at=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return folder / NAME


@pytest.fixture
def project(adopted: Path, tmp_path: Path) -> Path:
    """The adopted project, in which the user has worked."""
    folder = fresh(adopted, tmp_path / "project")
    page = folder / "docs" / "storage.md"
    page.write_text(page.read_text() + "\nOurs is in Oslo.\n")
    (folder / "src" / NAME / "ours.py").write_text('"""Ours."""\n')
    git(folder, "rm", "-q", "docs/frontend.md")
    commit(folder)
    return folder


@pytest.fixture
def later(template: Path, tmp_path: Path) -> Path:
    """The template, for a test to go on with."""
    return fresh(template, tmp_path / "later")


def state(folder: Path) -> tuple[str, str]:
    """Where the branches are, and what is not committed."""
    return git(folder, "for-each-ref"), git(folder, "status", "--porcelain")


def replace(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def test_the_old_name_is_nowhere_left_but_in_the_licences_notice(adopted: Path) -> None:
    paths = git(adopted, "ls-files", "-z").split("\0")[:-1]
    assert f"src/{NAME}/api/application.py" in paths
    assert f"deploy/grafana/dashboards/{NAME}.json" in paths
    assert [path for path in paths if "boatyard" in path.lower()] == []
    assert [path for path in paths if b"boatyard" in (adopted / path).read_bytes().lower()] == ["LICENSE"]
    assert not (adopted / "src" / "boatyard").exists()
    assert f'"{NAME.upper()}_MODEL"' in (adopted / "tasks.py").read_text()
    assert (adopted / "mkdocs.yml").read_text().count(f"site_name: {NAME.capitalize()}\n") == 1
    assert git(adopted, "status", "--porcelain") == ""


def test_what_is_not_text_stays_as_it_was(template: Path, adopted: Path) -> None:
    for name in ("docs/images/harbour.webp", "encoders/tiny-en/model.safetensors"):
        assert (adopted / name).read_bytes() == (template / name).read_bytes()
    assert git(adopted, "ls-files", "-s", ".ci/run").startswith("100755")


def test_the_lock_file_is_ignored_no_longer(template: Path, adopted: Path) -> None:
    ignored = [line for line in (template / ".gitignore").read_text().splitlines() if not line.startswith("# part")]
    assert ignored[-1] == "uv.lock"
    assert (adopted / ".gitignore").read_text().splitlines() == ignored[:-3]


def test_the_project_passes_its_own_checks(adopted: Path, run: Run) -> None:
    style = [["ruff", "check", "--no-cache"], ["ruff", "format", "--check", "--no-cache"]]
    for words in (*style, [f"{NAME}.monitor.alerts", "--check"]):
        done = run(adopted, *words)
        assert done.returncode == 0, done.stdout + done.stderr
    chosen = [f"tests/unit/test_{name}.py" for name in ("bundle", "requirements", "workflows")]
    chosen.append("tests/integration/test_dashboard.py")
    done = run(adopted, "pytest", "-q", "-p", "no:cacheprovider", *chosen)
    assert done.returncode == 0, done.stdout
    assert git(adopted, "status", "--porcelain") == ""


def test_the_projects_commands_go_by_its_name(adopted: Path, run: Run) -> None:
    shown = run(adopted, f"{NAME}.train", "--help")
    assert shown.stdout.startswith(f"usage: python -m {NAME}.train "), shown.stderr
    assert f"python -m {NAME}.train data=inbox model=tiny" in shown.stdout
    assert f"project: {NAME}" in run(adopted, f"{NAME}.train", "--cfg").stdout


def test_the_history_begins_with_the_template_under_the_new_name(template: Path, adopted: Path) -> None:
    assert git(adopted, "rev-list", "--count", "HEAD") == "1\n"
    assert git(adopted, "rev-parse", "template") == git(adopted, "rev-parse", "HEAD")
    told = git(adopted, "log", "-1", "--format=%(trailers)").strip().splitlines()
    assert told == [f"Template-Commit: {git(template, 'rev-parse', 'HEAD').strip()}", f"Template-Source: {template}"]


def test_a_long_name_leaves_no_line_that_is_too_long(with_a_long_name: Path, run: Run) -> None:
    for words in (["check"], ["format", "--check"]):
        done = run(with_a_long_name, "ruff", *words, "--no-cache")
        assert done.returncode == 0, done.stdout


def test_a_password_in_the_templates_address_is_not_recorded(with_a_long_name: Path) -> None:
    assert "Template-Source: https://example.org/template.git\n" in git(with_a_long_name, "log", "-1", "--format=%B")


def test_a_new_project_is_a_repository_with_one_commit_that_speaks_of_itself(new: Path) -> None:
    assert git(new, "rev-list", "--count", "HEAD") == "1\n"
    assert git(new, "status", "--porcelain") == ""
    readme = (new / "README.md").read_text()
    assert readme.startswith(f"# {NAME.capitalize()}\n\nFinds what is wrong.\n")
    assert "| `inbox` | text | classification |" in readme
    assert not [word for word in ("houses", "Google Cloud", "monitor", "template of") if word in readme]
    assert (new / ".python-version").read_text() == "3.13\n"
    told = tomllib.loads((new / "pyproject.toml").read_text())
    assert told["project"]["authors"] == [{"name": "Ada Lovelace"}]
    assert told["tool"]["uv"]["sources"]["torch"][0]["index"] == told["tool"]["uv"]["index"][0]["name"] == "pytorch-cpu"
    assert tomllib.loads((new / ".template.toml").read_text())["without"] == [*LEFT_OUT]


def test_what_is_left_out_is_nowhere_left(new: Path) -> None:
    paths = git(new, "ls-files", "-z").split("\0")[:-1]
    words = re.compile(r"vertex|houses|harbour|resistance|tabm|cloud\.(?:train|deploy)", re.IGNORECASE)
    found = {
        path: words.findall(path) or words.findall((new / path).read_bytes().decode(errors="ignore"))
        for path in paths
        if not path.startswith(("requirements/", "data/raw/", "encoders/", "tests/fixtures/"))
        and path != "TEMPLATE-CHANGES.md"
    }
    assert {path: sorted({*each}) for path, each in found.items() if each} == {}
    code = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)
    made = ("reference/", "../reference/", "figures/")  # with the site, or by the user
    dangling = [
        f"{path}: {to}"
        for path in paths
        if path.endswith(".md")
        for to in re.findall(r"(?<!!)\[[^\]]*\]\(([^)\s#]+)[^)]*\)", code.sub("", (new / path).read_text()))
        if "//" not in to and not to.startswith(made) and not (new / path).parent.joinpath(to).exists()
    ]
    assert dangling == []


def test_another_licence_keeps_the_templates_beside_it(template: Path, new: Path) -> None:
    assert (new / "LICENSE").read_text().startswith("Copyright (c) ")
    assert "Ada Lovelace. All rights reserved." in (new / "LICENSE").read_text()
    assert (new / "LICENSE.template").read_text() == (template / "LICENSE").read_text()
    assert "under Apache-2.0 ([LICENSE.template](LICENSE.template))" in (new / "README.md").read_text()
    assert 'license = "LicenseRef-Proprietary"' in (new / "pyproject.toml").read_text()


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_the_example_and_a_name_with_a_keyword_or_the_templates_name_in_it_work_as_any(
    template: Path, run: Run, tmp_path: Path, name: str
) -> None:
    flags = (*CHOSEN, f"--author={AUTHOR}", f"--description={DESCRIPTION}")
    done = run(template, "boatyard.template", "new", name, *flags, at=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    package, folder = name.replace("-", "_"), tmp_path / name
    for words in (["check"], ["format", "--check"]):
        assert run(folder, "ruff", *words, "--no-cache").returncode == 0
    shown = run(folder, f"{package}.train", "--help")
    assert shown.stdout.startswith(f"usage: python -m {package}.train "), shown.stderr
    old = re.compile(rb"(?<!(?<!my[-_ ])my[-_ ])boatyard(?! Marine)", re.IGNORECASE)
    paths = git(folder, "ls-files", "-z").split("\0")[:-1]
    assert [path for path in paths if old.search((folder / path).read_bytes())] == ["LICENSE.template"]
    answers = tomllib.loads((folder / ".template.toml").read_text())
    assert [answers[key] for key in ("name", "author", "description")] == [name, AUTHOR, DESCRIPTION]
    title = name.replace("-", " ").title()
    for page in ("README.md", "docs/index.md"):
        assert (folder / page).read_text().startswith(f"# {title}\n\n{DESCRIPTION}\n"), page
    told = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert (told["description"], told["authors"]) == (DESCRIPTION, [{"name": AUTHOR}])
    assert f"Copyright (c) {answers['year']} {AUTHOR}. All" in (folder / "LICENSE").read_text()


def test_a_folder_that_holds_something_is_no_place_for_a_new_project(template: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "mine.txt").write_text("mine\n")
    done = run(template, "boatyard.template", "new", NAME, at=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"new: {tmp_path / NAME} is there already: choose another name, or add to a repository with "
        f"--into {tmp_path / NAME}\n"
    )
    assert [file.name for file in tmp_path.rglob("*")] == [NAME, "mine.txt"]


def test_what_fails_leaves_no_folder_behind(template: Path, run: Run, tmp_path: Path) -> None:
    done = run(template, "boatyard.template", "new", NAME, "--ref=no-such-branch", at=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert [*tmp_path.iterdir()] == []


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Somebody's repository."""
    folder = tmp_path / "own"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "README.md").write_text("# Ours\n")
    (folder / "ours.py").write_text('"""Ours."""\n')
    commit(folder)
    return folder


def test_a_repository_gets_the_project_in_one_commit_and_keeps_its_files(
    template: Path, run: Run, own: Path, new: Path
) -> None:
    first = git(own, "rev-parse", "HEAD").strip()
    done = run(template, "boatyard.template", "new", NAME, *CHOSEN, "--into=.", at=own)
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        "\n- README.md lacks what .ci/run runs, each on a line of its own: `pip install uv && uv run invoke pipeline` "
        "and `pip install uv && uv run invoke test`\n"
    ) in done.stdout
    assert git(own, "rev-parse", "HEAD^").strip() == first
    assert git(own, "status", "--porcelain") == ""
    assert (own / "README.md").read_text() == "# Ours\n"
    both = {*git(own, "ls-files", "-z").split("\0")}
    assert both == {*git(new, "ls-files", "-z").split("\0"), "ours.py"}


def test_a_file_of_ones_own_that_the_project_would_have_too_is_named_and_nothing_is_added(
    template: Path, run: Run, own: Path
) -> None:
    (own / "tasks.py").write_text("mine = True\n")
    (own / "src").write_text("a file where the project has a folder\n")
    commit(own)
    before = state(own)
    done = run(template, "boatyard.template", "new", NAME, *CHOSEN, "--into=.", at=own)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "new: the repository has src, tasks.py of its own, where the template would have another"
    )
    assert state(own) == before


def test_a_repository_that_was_added_to_is_updated_as_any(template: Path, run: Run, own: Path, later: Path) -> None:
    assert run(template, "boatyard.template", "new", NAME, *CHOSEN, "--into=.", at=own).returncode == 0
    replace(later / "docs" / "storage.md", "# Storage\n", "# Storage of Boatyard\n")
    commit(later)
    done = run(own, f"{NAME}.template.update", f"--source={later}")
    assert (done.returncode, done.stderr) == (0, "")
    assert (own / "docs" / "storage.md").read_text().startswith(f"# Storage of {NAME.capitalize()}\n")
    assert (own / "README.md").read_text() == "# Ours\n"


def test_parts_that_were_left_out_and_files_that_were_deleted_do_not_come_back(
    new: Path, run: Run, later: Path, tmp_path: Path
) -> None:
    folder = fresh(new, tmp_path / "project")
    git(folder, "rm", "-q", "docs/storage.md")
    answers = folder / ".template.toml"
    spelt = answers.read_text().replace('["cloud", ', "[ # of a laptop\n  'cloud',\n  ")
    assert spelt != answers.read_text()
    answers.write_text(spelt)
    commit(folder)
    replace(later / "docs" / "storage.md", "# Storage\n", "# Storage of Boatyard\n")
    replace(later / "docs" / "monitoring.md", "# ", "# Later: ")
    (later / "src" / "boatyard" / "monitor" / "later.py").write_text('"""Later."""\n')
    (later / "src" / "boatyard" / "later.py").write_text('"""Later."""\n')
    commit(later)
    done = run(folder, f"{NAME}.template.update", f"--source={later}")
    assert (done.returncode, done.stderr) == (0, "")
    assert "still deleted: docs/storage.md" in done.stdout
    assert answers.read_text() == spelt
    assert (folder / "src" / NAME / "later.py").exists()
    for gone in ("docs/storage.md", "docs/monitoring.md", f"src/{NAME}/monitor/later.py"):
        assert not (folder / gone).exists()
    assert git(folder, "status", "--porcelain") == ""
    assert run(folder, f"{NAME}.template.update").stdout == "nothing is new in the template\n"


def test_one_can_look_before_updating(project: Path, later: Path, run: Run) -> None:
    words = (project, f"{NAME}.template.update", f"--source={later}")
    before = state(project)
    assert run(*words, "--check").returncode == 0
    (later / "new.txt").write_text("new\n")
    commit(later)
    checked = run(*words, "--check")
    assert (checked.returncode, checked.stdout) == (1, "")
    assert checked.stderr.startswith("update: the template has something new")
    listed = run(*words, "--dry-run")
    assert listed.returncode == 0
    assert listed.stdout.startswith(" new.txt | 1 +\n")
    assert state(project) == before


def test_a_path_that_the_template_renames_is_renamed_in_the_project_with_what_was_changed_there(
    project: Path, later: Path, run: Run
) -> None:
    manifest = later / MANIFEST
    for before, after in (
        ("docs/storage.md", "docs/where.md"),
        ("src/boatyard/evaluate/markdown.py", "src/boatyard/tables.py"),
    ):
        git(later, "mv", before, after)
        (later / after).write_text("# All written anew, in other words\n")
        manifest.write_text(f'{manifest.read_text()}\n[[renames]]\nbefore = "{before}"\nafter = "{after}"\n')
    commit(later)
    done = run(project, f"{NAME}.template.update", f"--source={later}")
    assert done.returncode == 1, "both changed the page"
    assert done.stderr.startswith("update: you and the template both changed docs/where.md: ")
    assert "Ours is in Oslo." in (project / "docs" / "where.md").read_text()
    assert not (project / "docs" / "storage.md").exists()
    assert not (project / "src" / NAME / "evaluate" / "markdown.py").exists()
    assert (project / "src" / NAME / "tables.py").read_text() == "# All written anew, in other words\n"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Shipshape", "lower-case"),
        ("ship_shape", "lower-case"),
        ("ship--shape", "lower-case"),
        ("../ship", "lower-case"),
        ("schäre", "lower-case"),
        ("9lives", "the first a letter"),
        ("s", "2 to 20"),
        ("s" * 21, "2 to 20"),
        ("lambda", "Python imports another module"),
        ("json", "Python imports another module"),
        ("fastapi", "Python imports another module"),
        ("test", "Python imports another module"),
        ("import", "Python imports another module"),
        ("models", "choose another"),
        ("docker", "variables of something else that begin with DOCKER_"),
        ("folder", "already calls something else that"),
        ("boatyard", "Python imports another module"),
    ],
)
def test_a_name_that_cannot_be_had_is_refused_in_one_sentence(
    template: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, reason: str
) -> None:
    monkeypatch.chdir(template)
    before = state(template)
    assert main(["adopt", name]) == 2
    told = capsys.readouterr().err
    assert told.startswith("adopt: ")
    assert told.count("\n") == 1
    assert reason in told
    assert state(template) == before


@pytest.mark.parametrize("name", ["claims", "good", "mail", "news", "orders", "reviews", "weather"])
def test_a_common_word_is_free_even_where_something_else_is_called_that(adopted: Path, name: str) -> None:
    check_free(name, texts(adopted))


@pytest.mark.parametrize(
    ("name", "reason"),
    [("docs", "docs/"), ("plants", "tests/plants.py"), ("inbox", "benchmarks/inbox.py"), ("git", "begin with GIT_")],
)
def test_a_name_that_a_file_or_a_variable_has_is_not_free(adopted: Path, name: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        check_free(name, texts(adopted))


@pytest.mark.parametrize("path", ["README.md", "new.txt"])
def test_what_is_not_committed_is_not_adopted(template: Path, run: Run, tmp_path: Path, path: str) -> None:
    folder = fresh(template, tmp_path / "changed")
    (folder / path).write_text("mine\n")
    before = state(folder)
    refused = run(folder, "boatyard.template", "adopt", NAME)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"adopt: {path} is not committed")
    assert state(folder) == before
    assert (folder / path).read_text() == "mine\n"


def test_commits_of_ones_own_come_after_adopting(template: Path, run: Run, tmp_path: Path) -> None:
    folder = fresh(template, tmp_path / "begun")
    own = commit(folder)
    refused = run(folder, "boatyard.template", "adopt", NAME)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"adopt: commit {own[:12]} is not the template's")
    assert git(folder, "rev-parse", "HEAD").strip() == own


def test_the_template_itself_takes_no_updates(template: Path, run: Run) -> None:
    own = run(template, "boatyard.template.update", f"--source={template}")
    assert own.returncode == 2
    assert own.stderr.startswith("update: this branch's history has no snapshot of the template")


def test_later_changes_come_under_the_projects_name_beside_its_own(project: Path, later: Path, run: Run) -> None:
    replace(later / "docs" / "storage.md", "# Storage\n", "# Storage of Boatyard\n")
    source = '"""Of BOATYARD."""\n\nfrom boatyard.config import errors\n\n__all__ = ["errors"]\n'
    (later / "src" / "boatyard" / "sails.py").write_text(source)
    git(later, "rm", "-q", "docs/vertex.md", "docs/frontend.md")
    git(later, "mv", "src/boatyard/evaluate/markdown.py", "src/boatyard/tables.py")
    newest = commit(later)
    done = run(project, f"{NAME}.template.update", f"--source={later}")
    assert (done.returncode, done.stderr) == (0, "")
    page = (project / "docs" / "storage.md").read_text()
    assert page.startswith(f"# Storage of {NAME.capitalize()}\n")
    assert page.endswith("\nOurs is in Oslo.\n")
    assert (project / "src" / NAME / "sails.py").read_text() == (
        f'"""Of {NAME.upper()}."""\n\nfrom {NAME}.config import errors\n\n__all__ = ["errors"]\n'
    )
    assert (project / "src" / NAME / "ours.py").exists()
    assert not (project / "docs" / "vertex.md").exists()
    assert not (project / "docs" / "frontend.md").exists()
    assert not (project / "src" / NAME / "evaluate" / "markdown.py").exists()
    assert (project / "src" / NAME / "tables.py").exists()
    assert not (project / "src" / "boatyard").exists()
    assert git(project, "status", "--porcelain") == ""
    assert f"Template-Commit: {newest}\nTemplate-Source: {later}\n" in git(
        project, "log", "-1", "--format=%B", "template"
    )

    before = state(project)
    again = run(project, f"{NAME}.template.update")  # the source is known from the last time
    assert (again.returncode, again.stdout) == (0, "nothing is new in the template\n")
    assert state(project) == before

    replace(later / "docs" / "storage.md", "# Storage of Boatyard\n", "# Storage in Boatyard\n")
    commit(later)
    assert run(project, f"{NAME}.template.update").returncode == 0
    assert (project / "docs" / "storage.md").read_text() == page.replace("Storage of", "Storage in")


def test_a_project_of_any_age_has_the_template_made_its_own_by_the_same_command(
    template: Path, run: Run, tmp_path: Path
) -> None:
    copy = fresh(template, tmp_path / "copy")  # as the engine that the project was made with has fetched it
    done = run(copy, "boatyard.template", "render", given=f'name = "{NAME}"\n')
    assert json.loads(done.stdout) == {"package": NAME, "renames": {}}
    assert {path.name for path in (copy / "src").iterdir()} == {NAME}


def test_a_branch_or_a_tag_can_be_chosen(project: Path, later: Path, run: Run) -> None:
    git(later, "tag", "first")
    (later / "new.txt").write_text("new\n")
    commit(later)
    assert run(project, f"{NAME}.template.update", f"--source={later}", "--ref=first").stdout.startswith(
        "nothing is new"
    )
    assert run(project, f"{NAME}.template.update", f"--source={later}", "--ref=main").returncode == 0
    assert (project / "new.txt").exists()


def test_a_conflict_is_left_to_the_user_and_nothing_is_lost(project: Path, later: Path, run: Run) -> None:
    replace(project / "docs" / "storage.md", "# Storage\n", "# Our storage\n")
    mine = commit(project)
    replace(later / "docs" / "storage.md", "# Storage\n", "# Where things are\n")
    (later / "new.txt").write_text("new\n")
    commit(later)
    done = run(project, f"{NAME}.template.update", f"--source={later}")
    assert done.returncode == 1
    assert done.stderr.startswith("update: you and the template both changed docs/storage.md: resolve ")
    assert (
        (project / "docs" / "storage.md")
        .read_text()
        .startswith("<<<<<<< HEAD\n# Our storage\n=======\n# Where things are\n>>>>>>> template\n")
    )
    assert (project / "new.txt").exists()
    assert run(project, f"{NAME}.template.update", f"--source={later}").returncode == 2, "first this merge"
    git(project, "merge", "--abort")
    assert git(project, "rev-parse", "HEAD").strip() == mine
    assert git(project, "status", "--porcelain") == ""


def test_a_clone_without_the_branch_makes_the_same_commit(project: Path, later: Path, run: Run, tmp_path: Path) -> None:
    (later / "new.txt").write_text("new\n")
    commit(later)
    colleague = fresh(project, tmp_path / "colleague")
    assert "refs/heads/template" not in git(colleague, "for-each-ref")
    for folder in (project, colleague):
        done = run(folder, f"{NAME}.template.update", f"--source={later}")
        assert done.returncode == 0, done.stderr
    assert git(project, "rev-parse", "template") == git(colleague, "rev-parse", "template")


@pytest.mark.parametrize("words", [["--source=no/such/place"], ["--ref=no-such-branch"]])
def test_a_template_that_is_not_there_changes_nothing(project: Path, run: Run, words: list[str]) -> None:
    before = state(project)
    done = run(project, f"{NAME}.template.update", *words)
    assert done.returncode == 2
    assert "cannot be fetched from" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert state(project) == before


def test_an_update_that_breaks_off_changes_nothing(project: Path, later: Path, run: Run) -> None:
    (later / "src" / "boatyard" / "broken.py").write_text("def (\n")
    commit(later)
    before = state(project)
    done = run(project, f"{NAME}.template.update", f"--source={later}")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert state(project) == before
