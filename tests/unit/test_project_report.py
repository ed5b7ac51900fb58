"""The form of the project's report: what it counts, what it refuses, and the page that it becomes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bundles import publish_in_production

pytestmark = pytest.mark.unit

REPOSITORY = Path(__file__).parents[2]
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c626001000000050001"
    "0d0a2db40000000049454e44ae426082"
)


class Report:
    """A repository that holds nothing but the report."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "reports"
        (self.folder / "figures").mkdir(parents=True)
        (self.folder / "figures" / "load.png").write_bytes(PNG)
        self.script = shutil.copy(REPOSITORY / "reports" / "report.py", self.folder)
        shutil.copy(REPOSITORY / "pyproject.toml", root)

    def run(self, command: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        if text is not None:
            (self.folder / "README.md").write_text(text, encoding="utf-8")
        words = [sys.executable, self.script, command]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    def text(self) -> str:
        return (self.folder / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return Report(tmp_path)


def question(answer: str, limits: str = "words=2-5 figures=1") -> str:
    return f"# Report\n\n### 1. How fast?\n\n<!-- answer {limits} -->\n{answer}\n<!-- /answer -->\n"


def test_an_answer_within_its_limits_is_accepted(report: Report) -> None:
    done = report.run("check", question("Nine hundred a second.\n![load](figures/load.png)"))
    assert (done.returncode, done.stdout) == (0, "Every question is answered as it asks.\n")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("", "not answered yet"),
        ("Fast.\n![load](figures/load.png)", "1 words, of 2 to 5"),
        ("one two three four five six\n![load](figures/load.png)", "6 words, of 2 to 5"),
        ("Nine hundred a second.", "0 figures, of 1"),
    ],
)
def test_what_falls_short_is_told_with_its_question_and_line(report: Report, answer: str, told: str) -> None:
    done = report.run("check", question(answer))
    assert done.returncode == 1
    assert done.stdout == f"README.md:5: 1. How fast?: {told}\n"


def test_code_pictures_and_addresses_are_no_words(report: Report) -> None:
    answer = "Two [words](https://example.com/a/b/c).\n```\nfor i in range(10): pass\n```\n![a b c d](figures/load.png)"
    assert report.run("check", question(answer)).returncode == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("# Report\n", "README.md:1: there is no question in it"),
        (question("a b", "words=5"), "README.md:5: answer must say words=LEAST-MOST, and may say figures=NUMBER"),
        (question("a b", "words=5-2"), "README.md:5: answer must say words=LEAST-MOST, and may say figures=NUMBER"),
        (question("a b").replace("<!-- /answer -->", ""), "README.md:5: answer never ends"),
        ("<!-- /answer -->\n", "README.md:1: /answer ends nothing"),
        (question("<!-- facts tests -->"), "README.md:6: facts begins before answer of line 5 has ended"),
        (question("a <!-- answer"), "README.md:6: a mark must stand alone on its line"),
        (question("a b") + "<!-- facts weather -->\n<!-- /facts -->\n", "README.md:8: facts are one of"),
        (question("a b\n\n![x](figures/none.png)"), "README.md:8: the figure figures/none.png is not there"),
        (question("![x](../../secret.png)"), "README.md:6: the figure ../../secret.png lies outside the repository"),
        (question('a b ![x](figures/none.png "a title")'), "README.md:6: the figure figures/none.png is not there"),
        (question("![x](report.py)"), "README.md:6: the figure report.py is none of .png"),
    ],
)
@pytest.mark.parametrize("command", ["check", "html", "facts"])
def test_what_is_malformed_is_named_with_its_line(report: Report, text: str, told: str, command: str) -> None:
    done = report.run(command, text)
    assert done.returncode == 2
    assert done.stderr.startswith(told)
    assert report.text() == text
    assert not (report.folder / "report.html").exists()


def test_what_facts_are_read_from_is_named_with_its_line_too(report: Report) -> None:
    (report.folder / "data" / "ferry").mkdir(parents=True)
    (report.folder / "data" / "ferry" / "report.json").write_text('{\n"name": \n}')
    done = report.run("facts", question("a b") + "<!-- facts data -->\n<!-- /facts -->\n")
    assert done.returncode == 2
    assert done.stderr.startswith(f"{Path('reports/data/ferry/report.json')}:3: Expecting value")


def test_bytes_that_are_no_text_are_named_with_their_line(report: Report) -> None:
    (report.folder / "README.md").write_bytes(b"# Report\n\n\xff\n")
    done = report.run("check")
    assert (done.returncode, done.stderr) == (2, "README.md:3: is not UTF-8\n")
    (report.folder / "benchmarks").mkdir()
    (report.folder / "benchmarks" / "load.md").write_bytes(b"# Load\n\xff\n")
    done = report.run("facts", question("a b") + "<!-- facts benchmarks -->\n<!-- /facts -->\n")
    assert (done.returncode, done.stderr) == (2, f"{Path('reports/benchmarks/load.md')}:2: is not UTF-8\n")


def test_a_report_that_is_not_there_is_one_sentence(report: Report) -> None:
    done = report.run("check")
    assert done.returncode == 2
    assert done.stderr.startswith("README.md cannot be read or written")
    assert len(done.stderr.splitlines()) == 1


def test_the_page_needs_nothing_but_itself(report: Report) -> None:
    answer = "Nine hundred a second.\n\n![load](figures/load.png)\n\n| a | b |\n|---|---|\n| 1 | 2 |"
    assert report.run("html", question(answer, "words=2-9 figures=1")).returncode == 0
    page = (report.folder / "report.html").read_text(encoding="utf-8")
    assert 'src="data:image/png;base64,' in page
    assert "figures/load.png" not in page
    assert "<td>1</td>" in page


def test_facts_are_filled_in_again_and_again_and_nothing_else_is_touched(report: Report) -> None:
    (report.folder / "benchmarks").mkdir()
    tables = "| a |\n| --- |\n| 42 |\n\nMore.\n\n| b |\n| --- |\n| 43 |\n"
    (report.folder / "benchmarks" / "load.md").write_text(f"# Load\n\nProse.\n\n{tables}")
    facts = "".join(
        f"<!-- facts {name} -->\n<!-- /facts -->\n" for name in ("packages", "benchmarks", "data", "metrics")
    )
    text = question("Nine hundred a second.") + facts + "The end.\n"
    assert report.run("facts", text).returncode == 0
    once = report.text()
    assert "| 42 |" in once
    assert "| 43 |" in once
    assert "More." not in once
    assert "onnxruntime " in once
    assert "No data was prepared here" in once
    assert "Nothing is published here" in once
    assert once.startswith(question("Nine hundred a second."))
    assert once.endswith("The end.\n")
    assert report.run("facts").returncode == 0
    assert report.text() == once


def test_what_is_published_is_told_with_the_score_that_decides(report: Report, tmp_path: Path) -> None:
    version = publish_in_production(tmp_path)
    shutil.move(tmp_path / "storage" / "models", tmp_path)
    done = report.run("facts", question("a b") + "<!-- facts metrics -->\n<!-- /facts -->\n")
    assert done.returncode == 0, done.stderr
    assert f"@production | {version} |" in report.text()


def test_the_form_that_lies_here_is_sound_and_unanswered() -> None:
    done = subprocess.run(
        [sys.executable, REPOSITORY / "reports" / "report.py", "check"], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
