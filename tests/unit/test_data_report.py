import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from boatyard.data.plots import lengths_png
from boatyard.data.report import write_data_report
from boatyard.data.summary import DataSummary, Issue
from boatyard.tasks.classification import plots
from boatyard.tasks.classification.data_report import data_facts
from boatyard.tasks.classification.plots import labels_png

pytestmark = pytest.mark.unit


def targets(*counts: int) -> NDArray[np.int32]:
    """So many rows of each label."""
    return np.repeat(np.arange(len(counts), dtype=np.int32), counts)


SUMMARY = DataSummary(
    name="inbox",
    fingerprint="0123abcd",
    sources=["inbox.csv"],
    fields=["text"],
    target={"labels": ["card", "rate"]},
    split_rows={"train": 30, "test": 10},
    targets={"train": targets(20, 10), "test": targets(6, 4)},
    lengths={"train": np.arange(1, 31), "test": list(range(1, 11))},
    length_unit="words",
    issues=[],
    issue_counts={},
    samples={"card": ["where is it", "my card"], "rate": ["a title | a text"]},
    quarantined=0,
    quarantine_file=None,
)


def issues(severity: str, kind: str, count: int) -> list[Issue]:
    return [Issue(severity, kind, "is wrong", "inbox.csv", row, "text") for row in range(2, 2 + count)]  # type: ignore[arg-type]


def with_issues(*found: Issue) -> DataSummary:
    return replace(SUMMARY, issues=found, issue_counts=Counter(f"{i.severity}:{i.kind}" for i in found))


def render(summary: DataSummary) -> str:
    """The report of labelled rows."""
    with TemporaryDirectory() as folder:
        return write(Path(folder), summary)


def write(folder: Path, summary: DataSummary, task: str = "classification") -> str:
    write_data_report(folder, summary, task)
    return (folder / "report.md").read_text(encoding="utf-8")


def test_the_report_opens_with_rows_labels_sources_and_fingerprint() -> None:
    report = render(SUMMARY)
    for line in (
        "| Rows, train | 30 |",
        "| Rows, test | 10 |",
        "| Sources | inbox.csv |",
        "| Fingerprint | 0123abcd |",
    ):
        assert line in report


def test_lengths_are_told_by_percentiles_that_some_row_has() -> None:
    assert "| train | 16 | 29 | 30 | 30 |" in render(SUMMARY)


def test_the_imbalance_is_told_and_warned_of_only_when_it_misleads() -> None:
    even = render(SUMMARY)
    assert "2 labels; the largest has 1.9 times the rows of the smallest." in even
    assert "uneven" not in even
    uneven = replace(SUMMARY, targets={"train": targets(100, 8), "test": targets(10, 2)})
    assert "11.0 times" in (report := render(uneven))
    assert "uneven" in report


def test_a_label_without_any_row_does_not_make_the_imbalance_infinite() -> None:
    lacking = replace(SUMMARY, targets={"train": targets(20, 0), "test": targets(6, 0)})
    assert data_facts(lacking)["imbalance"] == 1


def test_a_label_that_a_split_lacks_is_named() -> None:
    lacking = replace(SUMMARY, targets={"train": targets(20, 10), "test": targets(10, 0)})
    assert "Without a row in test: rate." in render(lacking)


def test_clean_rows_have_no_findings() -> None:
    assert "## Findings\n\nNone.\n" in render(SUMMARY)


def test_findings_are_counted_and_placed_errors_first() -> None:
    report = render(with_issues(*issues("warning", "duplicate", 2), *issues("error", "empty", 3)))
    assert "| error | empty | 3 |" in report
    assert "| inbox.csv:2 | text | is wrong |" in report
    assert report.index("### error, empty") < report.index("### warning, duplicate")
    assert "more." not in report


def test_a_hundred_findings_are_listed_and_the_rest_counted() -> None:
    flood = with_issues(*issues("error", "empty", 150), *issues("error", "conflict", 5))
    report = render(flood)
    assert report.count("| inbox.csv:") == 100
    conflicts, empties = report.split("### error, conflict")[1].split("### error, empty")
    assert conflicts.count("| inbox.csv:") == 5, "a rare kind is not drowned by a flood of another"
    assert "55 more." in empties


def test_issues_that_were_counted_but_not_kept_are_told() -> None:
    capped = replace(
        with_issues(*issues("error", "empty", 3)), issue_counts={"error:empty": 12_345, "warning:leakage": 7}
    )
    report = render(capped)
    assert "12,342 more." in report
    assert "7, not listed here." in report


def test_the_report_says_where_rows_were_set_aside() -> None:
    report = render(replace(SUMMARY, quarantined=12, quarantine_file="quarantine.csv"))
    assert "12 rows were set aside in quarantine.csv." in report


def test_samples_are_shown_by_group() -> None:
    report = render(SUMMARY)
    assert "| card | where is it |\n|  | my card |\n| rate | a title &#124; a text |" in report


def test_the_json_holds_the_facts_without_every_length(tmp_path: Path) -> None:
    write(tmp_path, with_issues(*issues("error", "empty", 1)))
    facts = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert facts["split_rows"] == {"train": 30, "test": 10}
    assert facts["lengths"]["test"] == {"p50": 6, "p95": 10, "p99": 10, "max": 10}
    assert facts["issue_counts"] == {"error:empty": 1}
    assert facts["issues"][0]["row"] == 2
    assert facts["imbalance"] == pytest.approx(26 / 14)


def test_hostile_names_labels_and_rows_break_nothing(tmp_path: Path) -> None:
    hostile = "a | b\n\n# c `d` <script>x</script> $x_{$ \udc80"
    issue = Issue("error", "bad_bytes", hostile, hostile, 2, hostile)
    target, samples = {"labels": [hostile, "rate"]}, {hostile: [hostile]}
    summary = replace(with_issues(issue), name=hostile, target=target, samples=samples)
    report = write(tmp_path, replace(summary, targets={"train": targets(0, 30), "test": targets(5, 5)}))
    assert "<script" not in report
    assert [line for line in report.splitlines() if line.startswith("# ")] == report.splitlines()[:1]
    assert report.rstrip().splitlines()[-1].count("|") == 3
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["name"] == hostile


def test_an_empty_split_and_no_rows_at_all_are_reported(tmp_path: Path) -> None:
    half = replace(SUMMARY, lengths={"train": [3], "test": []}, targets={"train": targets(1, 0), "test": targets(0, 0)})
    assert "| test | n/a | n/a | n/a | n/a |" in write(tmp_path / "half", half)
    none = replace(
        SUMMARY, lengths={}, target={"labels": []}, targets={"train": targets(), "test": targets()}, samples={}
    )
    assert "There are no rows." in write(tmp_path / "none", none)
    assert "There are no rows." in write(tmp_path / "none", replace(none, targets={}))


def height_of_labels_png(path: Path, labels: int) -> int:
    labels_png(path, [f"label_{i}" for i in range(labels)], {"train": [5] * labels, "test": [1] * labels})
    assert path.stat().st_size < 700_000
    with Image.open(path) as picture:
        return picture.height


def test_more_labels_make_a_taller_picture_with_room_for_every_label(tmp_path: Path) -> None:
    heights = [height_of_labels_png(tmp_path / "x.png", labels) for labels in (2, 28, 77)]
    assert heights == sorted(set(heights))
    assert heights[-1] > 77 * 20, "a line of text needs 20 pixels"


def test_of_too_many_labels_the_ends_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ten = height_of_labels_png(tmp_path / "ten.png", 10)
    monkeypatch.setattr(plots, "MOST_BARS", 10)
    assert height_of_labels_png(tmp_path / "many.png", 2000) == ten


@pytest.mark.parametrize("lengths", [[0, 0], [5], list(range(60)), [1, 2, 3, 100_000]])
def test_lengths_of_any_spread_can_be_drawn(tmp_path: Path, lengths: list[int]) -> None:
    lengths_png(tmp_path / "x.png", {"train": lengths, "test": []}, "words")
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.format == "PNG"


NUMBERS = replace(
    SUMMARY,
    target={"unit": "a | b"},
    targets={"train": np.array([1500.0, 2500.0, 3500.0]), "test": np.zeros(0)},
    samples={"lowest third": ["a cheap one"]},
)


def test_numbers_are_reported_by_their_percentiles_with_their_unit(tmp_path: Path) -> None:
    report = write(tmp_path, NUMBERS, "regression")
    assert "## Targets\n" in report
    assert "| In a &#124; b | Lowest | 5% up to | Half up to | 95% up to | Highest |" in report
    assert "| train | 1,500.00 | 1,600.00 | 2,500.00 | 3,400.00 | 3,500.00 |" in report
    assert "| test | n/a | n/a | n/a | n/a | n/a |" in report
    assert "![Distribution of the targets](targets.png)" in report
    assert "abel" not in report
    facts = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert facts["targets"]["train"] == {"p0": 1500, "p5": 1600, "p50": 2500, "p95": 3400, "p100": 3500}
    assert facts["targets"]["test"] is None
    assert {file.name for file in tmp_path.iterdir()} == {"lengths.png", "report.json", "report.md", "targets.png"}


@pytest.mark.parametrize("values", [[0.0, 0.0], [5.0], [], [-1e15, 0.0, 1e15], list(range(60))])
def test_numbers_of_any_spread_can_be_drawn(tmp_path: Path, values: list[float]) -> None:
    write(tmp_path, replace(NUMBERS, targets={"train": np.array(values, float)}), "regression")
    with Image.open(tmp_path / "targets.png") as picture:
        assert picture.format == "PNG"
