"""What belongs to which part of the template, and how a project is made without it."""

import json
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import pytest
import yaml
from packaging.utils import canonicalize_name
from parts import COMBINATIONS, choices
from taken import asked_for, could_be_a_name

from boatyard.config.errors import UserError
from boatyard.template.making.answers import Answers, read_answers, write_answers
from boatyard.template.making.cutting import drop_definitions
from boatyard.template.making.names import TAKEN, Spelling, check_name
from boatyard.template.making.parts import MANIFEST, drop_marked, owns, read_manifest
from boatyard.template.making.prose import drop_heading, drop_key, prune_markdown
from boatyard.template.making.pruning import Gone, never_used, prune_python, prune_tests

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
LISTED = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
FILES = [path for path in LISTED.split("\0") if path]
TEMPLATE = read_manifest(ROOT / MANIFEST)
PARTS = [*TEMPLATE.parts.values(), TEMPLATE.story]


def test_every_pattern_of_a_part_matches_a_file() -> None:
    patterns = {pattern for part in PARTS for pattern in (*part.paths, *part.keep)}
    assert [each for each in sorted(patterns) if not any(fnmatchcase(path, each) for path in FILES)] == []


def test_a_project_has_of_the_template_package_what_an_update_loads_and_no_more() -> None:
    kept = [path for path in FILES if path.startswith("src/boatyard/template/") and not owns(TEMPLATE.story, path)]
    code = "import sys, boatyard.template.update; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    names = [path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in kept]
    assert sorted(names) == sorted(name for name in loaded if name.startswith("boatyard.template"))


def test_every_section_of_a_part_is_there_to_be_dropped() -> None:
    for file, name in {(*section.split("::"),) for part in PARTS for section in part.sections}:
        text = (ROOT / file).read_text(encoding="utf-8")
        drop = {".py": lambda text, name: drop_definitions(text, {name}), ".md": drop_heading}.get(
            Path(file).suffix, drop_key
        )
        assert drop(text, name) != text, f"{file}::{name}"


def test_every_mark_names_parts() -> None:
    marks = re.compile(r"(?:#|<!--) part: ([a-z, ]+?)(?: -->)?$", re.MULTILINE)
    own = ("src/boatyard/template/", "tests/unit/test_parts.py", "docs/how-to/")
    found = [
        (path, name.strip())
        for path in FILES
        if path.endswith((".py", ".toml", ".yml", ".yaml", ".md", ".dockerfile", ".dockerignore"))
        and not path.startswith(own)
        for names in marks.findall((ROOT / path).read_text(encoding="utf-8"))
        for name in names.split(",")
    ]
    assert len(found) > 20
    assert [each for each in found if each[1] not in {*TEMPLATE.parts, "story"}] == []


@pytest.mark.parametrize(
    "area",
    [
        *("src/boatyard/inputs/*/*", "src/boatyard/tasks/*/*", "src/boatyard/monitor/*", "src/boatyard/frontend/*"),
        *("configs/data/*", "configs/model/*", "data/raw/*.*", "benchmarks/*", "deploy/run/*", "tests/browser/*"),
    ],
)
def test_every_file_of_what_can_be_left_out_belongs_to_a_part(area: str) -> None:
    files = [path for path in FILES if fnmatchcase(path, area) and path != "data/raw/README.md"]
    assert files
    assert [path for path in files if not any(owns(part, path) or path in part.keep for part in PARTS)] == []


def test_every_input_and_task_is_a_part_and_the_defaults_are_where_they_are_said_to_be() -> None:
    assert {*TEMPLATE.inputs, *TEMPLATE.tasks} <= TEMPLATE.parts.keys()
    assert {path.parent.name for path in ROOT.glob("src/boatyard/inputs/*/__init__.py")} == {*TEMPLATE.inputs}
    assert {path.parent.name for path in ROOT.glob("src/boatyard/tasks/*/__init__.py")} == {*TEMPLATE.tasks}
    for place in TEMPLATE.defaults:
        assert any(place["text"] in file.read_text(encoding="utf-8") for file in ROOT.glob(place["path"])), place


def test_each_part_is_named_where_one_is_asked_what_to_leave_out() -> None:
    asked = json.loads((ROOT / "cookiecutter" / "cookiecutter.json").read_text())
    kinds = [*TEMPLATE.inputs, *TEMPLATE.tasks]
    assert [*asked["inputs"].split(","), *asked["tasks"].split(",")] == kinds
    others = [part for part in TEMPLATE.parts if part not in kinds]
    assert asked["__prompts__"]["without"] == f"Parts to leave out, of {', '.join(others)}"
    page = (ROOT / "docs" / "how-to" / "adopt.md").read_text()
    assert [name for name in TEMPLATE.parts if not re.search(rf"\b{name}", page)] == []


@pytest.mark.parametrize(
    ("without", "default"),
    [
        (["cloud"], "inbox"),
        (["text"], "houses"),
        (["text", "table"], "resistance"),
        (["text", "table", "protein"], "harbour"),
    ],
)
def test_the_pipeline_runs_on_the_first_bundled_rows_that_are_left(without: list[str], default: str) -> None:
    assert TEMPLATE.default_system(without) == default


def test_all_choices_have_a_job_of_their_own_in_ci() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/parts.yml").read_text(encoding="utf-8"))
    assert workflow["jobs"]["without"]["strategy"]["matrix"]["choice"] == [*sorted(TEMPLATE.parts), *COMBINATIONS]
    assert choices(TEMPLATE) == [*TEMPLATE.parts, *COMBINATIONS]


def test_parts_of_which_nothing_would_be_left_go_too() -> None:
    assert TEMPLATE.with_taken(["text", "cloud"]) == ["text", "cloud", "benchmarks"]
    assert TEMPLATE.with_taken(["benchmarks", "text"]) == ["benchmarks", "text"]


def test_a_project_without_bundled_rows_or_without_what_is_no_part_is_refused() -> None:
    with pytest.raises(UserError, match="no bundled rows are left"):
        TEMPLATE.check(["classification", "regression", "detection"])
    with pytest.raises(UserError, match="no part 'clouds': did you mean cloud"):
        TEMPLATE.check(["clouds"])


def test_each_place_has_the_spelling_that_it_needs() -> None:
    old = "boat" + "yard"
    text = (
        f"from {old} import x; {old}.api(); src/{old}; {old}-api; {old.capitalize()}'s {old.upper()}_MODEL; {old}_total"
    )
    assert Spelling("fraud-watch").replace_in(text) == (
        "from fraud_watch import x; fraud_watch.api(); src/fraud_watch; fraud-watch-api; Fraud Watch's "
        "FRAUD_WATCH_MODEL; fraud_watch_total"
    )
    assert Spelling(f"my-{old}").replace_in(f"{old}.api of {old}") == f"my_{old}.api of my-{old}"


@pytest.mark.parametrize(
    "name", ["Fraud", "fraud--watch", "../fraud", "9lives", "import", "test", "schäre", "x" * 21, "-a", "scikit-learn"]
)
def test_a_name_that_cannot_be_a_packages_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"choose another|a name is"):
        check_name(name)


def test_no_name_of_a_package_that_the_project_asks_for_is_free() -> None:
    could_be = {name for each in asked_for() if could_be_a_name(name := canonicalize_name(each.name))}
    assert could_be <= {*TAKEN.read_text(encoding="utf-8").split()}, "`python tests/taken.py` adds them"


@pytest.mark.parametrize("name", ["fraud-watch", "class-action", "x" * 20, "my-" + "boat" + "yard", "a1"])
def test_other_names_are_taken(name: str) -> None:
    check_name(name)


def test_marked_lines_go_with_their_part_and_marks_go_always() -> None:
    text = "a\nb # part: cloud\n# part: monitor, frontend\nc\nd # part: cloud\n# part end\ne\n"
    assert drop_marked(text, []) == "a\nb\nc\nd\ne\n"
    assert drop_marked(text, ["cloud"]) == "a\nc\ne\n"
    assert drop_marked(text, ["frontend"]) == "a\nb\ne\n"


def test_a_test_goes_with_what_it_uses_and_a_case_goes_alone() -> None:
    source = """
from helpers import left, lost
from project import gone

CASES = {"kept": 1, "data=houses": 2}


@pytest.mark.parametrize("option", ["data=houses", "data=inbox"])
def test_a_case(option): ...


def test_it(): lost()


def test_it_too(built): left()


def built(): gone()
"""
    pruned, dead = prune_python(source, Gone(re.compile("data=houses"), set(), {"project"}, {"helpers": {"lost"}}))
    assert dead == {"lost", "gone", "test_it", "built", "test_it_too"}
    assert "houses" not in pruned
    assert '"kept": 1' in pruned
    assert 'parametrize("option", ["data=inbox"])' in pruned
    assert re.findall(r"def (\w+)", pruned) == ["test_a_case"]


def test_a_page_loses_rows_commands_and_links_of_what_is_gone() -> None:
    page = "![A picture](b.md)\n\nSee [there](b.md).\n\n- [b](b.md)\n- [c](c.md)\n\n"
    page += "```bash\ninvoke keep\ninvoke lose\n```\n"
    pruned = prune_markdown(page, PurePosixPath("docs"), re.compile("invoke lose"), {"docs/b.md"})
    assert pruned == "\nSee there.\n\n- [c](c.md)\n\n```bash\ninvoke keep\n```\n"


@pytest.mark.parametrize(
    ("page", "pruned"),
    [
        ("[a](a.md), [b](b.md), [c](c.md) and more", "[a](a.md), [c](c.md) and more"),
        ("see [a](a.md), [b](b.md).", "see [a](a.md)."),
        ("[b](b.md), [a](a.md)", "[a](a.md)"),
        ("[b](b.md) alone", "b alone"),
        ("an aside ([how](b.md#here)).", "an aside."),
        ("`text`, `table`, `image`", "`text`, `image`"),
        ("a column of the `table`", "a column of the `table`"),
    ],
)
def test_a_list_in_a_sentence_loses_what_is_gone(page: str, pruned: str) -> None:
    assert prune_markdown(page, PurePosixPath("docs"), re.compile("(?!)"), {"docs/b.md"}, {"table"}) == pruned


@pytest.mark.parametrize(
    ("page", "pruned"),
    [
        ("<!-- not run: slow; tests/test_gone.py runs it -->\n", "<!-- not run: slow -->\n"),
        (
            "<!-- not run: slow; tests/test_kept.py runs it -->\n",
            "<!-- not run: slow; tests/test_kept.py runs it -->\n",
        ),
        ("First. `tests/test_gone.py` runs\nall this. Last.\n", "First. Last.\n"),
        ("First (`tests/test_gone.py` shows one), then more.\n", "First, then more.\n"),
        ("`tests/test_kept.py` runs it.\n\n`tests/test_gone.py` runs it.\n", "`tests/test_kept.py` runs it.\n\n"),
    ],
)
def test_what_a_page_says_of_a_test_goes_with_it(page: str, pruned: str) -> None:
    gone = {"tests/test_gone.py"}
    assert prune_markdown(page, PurePosixPath("docs"), re.compile("(?!)"), gone) == pruned


@pytest.mark.parametrize(
    ("page", "pruned"),
    [
        ("Do this. Then that:\n\n```bash\ngone\n```\n\n## Next\n\nMore.\n", "Do this.\n\n## Next\n\nMore.\n"),
        ("Here it is:\n\n```bash\ngone\n```\n\nMore.\n", "\nMore.\n"),
        ("Here it is:\n\n- gone\n\nMore: two.\n", "\nMore: two.\n"),
        ("Here it is:\n\n```bash\nkept\n```\n", "Here it is:\n\n```bash\nkept\n```\n"),
        ("## A\n\n```bash\ngone\n```\n\n## B\n\nMore.\n", "## B\n\nMore.\n"),
        ("# A\n\n## B\n\n### C\n\nMore.\n", "# A\n\n## B\n\n### C\n\nMore.\n"),
    ],
)
def test_what_announces_something_goes_with_it(page: str, pruned: str) -> None:
    assert prune_markdown(page, PurePosixPath("docs"), re.compile("gone"), set()).lstrip("\n") == pruned.lstrip("\n")


def test_an_input_is_meant_where_it_is_a_case_or_an_argument_and_nowhere_else() -> None:
    source = """
@pytest.mark.parametrize("name", ["text", "table"])
def test_a_case(name): ...


def test_it(): inputs.serving("table")


def test_it_too(): load(input="table")


def test_it_by_a_helper(): load("table")


def by_default(name="table"): ...


def test_a_payload(): post({"input": "table"})


def test_a_node(): node(["table", "ids"], {"table": 1})
"""
    pruned, _ = prune_python(source, Gone(re.compile("(?!)"), {"table"}, set()))
    assert re.findall(r"def (\w+)", pruned) == ["test_a_case", "test_a_node"]
    assert '("name", ["text"])' in pruned


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('A = ("b=1", "a")', 'A = ("a",)'),
        ('A = ("a", "b=1",)', 'A = ("a",)'),
        ('A = "a", "b=1"', 'A = "a",'),
        ('A = [("a", "b=1")]', None),
        ('A = ["a", "b=1"]', 'A = ["a"]'),
        ('A = ("a", "c", "b=1")', 'A = ("a", "c")'),
    ],
)
def test_a_tuple_of_one_is_still_a_tuple(before: str, after: str | None) -> None:
    pruned, _ = prune_python(f"{before}\n", Gone(re.compile("b=1"), set(), set()))
    assert pruned.strip() == (after or "")


def test_what_is_made_of_other_names_does_not_lose_some_of_them() -> None:
    source = "from gone import MORE\n\nALL = [*MORE, 1]\n\n\ndef test_it(): ALL\n"
    assert prune_python(source, Gone(re.compile("(?!)"), set(), {"gone"}))[0].strip() == ""


def test_options_go_as_a_whole_and_cases_one_by_one() -> None:
    source = """
OPTIONS = ["a=1", "b=1"]
CASES = ["a=1", "b=1"]


@pytest.mark.parametrize("case", CASES)
def test_a_case(case): ...


def test_it(): run(*OPTIONS)
"""
    pruned, _ = prune_python(source, Gone(re.compile("b=1"), set(), set()))
    assert "OPTIONS" not in pruned
    assert 'CASES = ["a=1"]' in pruned
    assert re.findall(r"def (\w+)", pruned) == ["test_a_case"]


def test_a_tuple_that_is_unpacked_goes_as_a_whole() -> None:
    source = 'KEPT, LOST = "a", "b=1"\n\n\ndef test_it(): KEPT\n\n\ndef test_other(): ...\n'
    pruned, _ = prune_python(source, Gone(re.compile("b=1"), set(), set()))
    assert "KEPT" not in pruned
    assert "test_other" in pruned


def test_a_test_goes_with_a_fixture_that_only_its_mark_names() -> None:
    source = (
        'import pytest\n\n\n@pytest.mark.usefixtures("kept", "gone")\ndef test_a(): ...\n\n\n'
        '@pytest.mark.usefixtures("kept")\ndef test_b(): ...\n'
    )
    pruned, dead = prune_python(source, Gone(re.compile("^$"), set(), set()), {"gone"})
    assert dead == {"test_a"}
    assert 'usefixtures("kept")\ndef test_b' in pruned


def test_a_function_keeps_what_it_calls_as_something_that_is_gone() -> None:
    source = (
        "def client(): gone()\n\n\ndef serve():\n    with opened() as client:\n        yield client\n\n\n"
        "def test_it(client): ...\n\n\ndef test_other(serve): ...\n"
    )
    pruned, dead = prune_python(source, Gone(re.compile("^$"), set(), set()), {"gone"})
    assert dead == {"client", "test_it"}
    assert "def serve()" in pruned


def test_a_fixture_that_is_gone_takes_tests_along_in_its_own_folder_alone(tmp_path: Path) -> None:
    for folder in ("tests/one/deeper", "tests/other"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "test_it.py").write_text("def test_it(place): ...\n")
    (tmp_path / "tests/one/conftest.py").write_text("@fixture\ndef place(): 'gone'\n")
    (tmp_path / "tests/other/conftest.py").write_text("@fixture\ndef place(): 'here'\n")
    own = tmp_path / "tests/one/test_own.py"
    own.write_text("@fixture\ndef place(): 'its own'\n\n\ndef test_it(place): ...\n")
    prune_tests(tmp_path, Gone(re.compile("^gone$"), set(), set()), never_used(tmp_path))
    assert [file.parent.name for file in tmp_path.rglob("test_it.py")] == ["other"]
    assert "def test_it" in own.read_text()


def test_what_only_the_pruned_used_goes_too(tmp_path: Path) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    files = {
        "test_it.py": "from helper import make\n\nA = 1\nB = 2\nC = 3\n\n\n"
        "def test_a(): make(A)\n\n\ndef test_b(): gone(B)\n",
        "helper.py": "def make(it): ...\n\n\ndef shared(it): ...\n",
        "lonely.py": "def gone_too(): ...\n",
        "test_gone.py": "from helper import shared\nfrom lonely import gone_too\n\n\ndef test_c(): shared('gone')\n",
        "test_borrowed.py": "from test_gone import test_c\n\n\ndef test_c_too(): test_c()\n",
        "named.py": "def helped(): ...\n",
        "test_named.py": "import named\n\n\ndef test_d(): named.helped('gone')\n\n\ndef test_e(): 'named'\n",
        "deleted.py": "def alone(): ...\n",
        "test_deleted.py": "import deleted\n",
        "conftest.py": "from project.helped import named\nfrom project.named import helped\n\n\n"
        "def pytest_hook(): named, helped\n",
    }
    for name, source in files.items():
        (tests / name).write_text(source)
    unused = never_used(tmp_path)
    (tests / "test_deleted.py").unlink()
    prune_tests(tmp_path, Gone(re.compile("^gone$"), set(), set(), fixtures={tests: {"gone"}}), unused)
    assert {file.name for file in tests.iterdir()} == {"test_it.py", "test_named.py", "helper.py", "conftest.py"}
    left = (tests / "test_it.py").read_text()
    assert "A = 1" in left
    assert "B = 2" not in left
    assert "C = 3" in left, "nobody used it before either"
    assert (tests / "helper.py").read_text().strip() == "def make(it): ..."


def test_answers_are_read_as_they_were_written() -> None:
    answers = Answers("fraud-watch", 'Says "no"', "Zoë", "MIT", "3.13", "cpu", ["cloud"], 2026)
    assert read_answers(write_answers(answers)) == answers
    with pytest.raises(UserError, match=r"license: 'GPL' is none of Apache-2\.0"):
        read_answers('name = "x"\nlicense = "GPL"')


def test_the_newest_entry_of_the_changelog_is_the_version_of_the_template() -> None:
    newest = re.search(r"^## (\S+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert newest
    assert newest[1] == project["version"]
