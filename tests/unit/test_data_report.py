import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boatyard.data import report
from boatyard.data.plots import sizes_png
from boatyard.data.report import write_data_report
from boatyard.data.summary import DataSummary, Issue
from boatyard.inputs.training_protocol import RowReport
from boatyard.tasks.classification import data_plots
from boatyard.tasks.classification.data_plots import labels_png
from boatyard.tasks.classification.data_report import data_section, imbalance
from boatyard.tasks.regression.data_plots import targets_png

pytestmark = pytest.mark.unit


def targets(train: list[int], test: list[int]) -> dict[str, np.ndarray]:
    """As many rows of each label as these say."""
    return {split: np.repeat(np.arange(len(rows)), rows) for split, rows in (("train", train), ("test", test))}


SUMMARY = DataSummary(
    name="ferry",
    fingerprint="0123abcd",
    sources=["ferry.csv"],
    fields=["text"],
    target={"labels": ["card", "rate"]},
    split_rows={"train": 30, "test": 10},
    targets=targets(train=[20, 10], test=[6, 4]),
    sizes={"train": np.arange(1, 31), "test": list(range(1, 11))},
    size_unit="words",
    issues=[],
    issue_counts={},
    samples={"card": ["where is it", "my card"], "rate": ["a title | a text"]},
    quarantined=0,
    quarantine_file=None,
)
NUMBERS = replace(
    SUMMARY,
    target={"unit": "$", "minimum": 1.0, "maximum": 30.0, "mean": 15.5, "std": 8.7, "buckets": [15.0, 30.0]},
    targets={"train": np.arange(1.0, 31.0), "test": np.zeros(0)},
)


def render(summary: DataSummary) -> str:
    """The part that is the same of all tasks."""
    return report.render(summary, [])


def of_labels(folder: Path, summary: DataSummary) -> str:
    """The part on labels."""
    (section,) = data_section(summary, folder)
    return "\n\n".join(section.parts)


def issues(severity: str, kind: str, count: int) -> list[Issue]:
    return [Issue(severity, kind, "is wrong", "ferry.csv", row, "text") for row in range(2, 2 + count)]  # type: ignore[arg-type]


def with_issues(*found: Issue) -> DataSummary:
    return replace(SUMMARY, issues=found, issue_counts=Counter(f"{i.severity}:{i.kind}" for i in found))


def write(folder: Path, summary: DataSummary, task: str = "classification") -> str:
    write_data_report(folder, summary, task, RowReport())
    return (folder / "report.md").read_text(encoding="utf-8")


def test_the_report_opens_with_rows_sources_and_fingerprint() -> None:
    report = render(SUMMARY)
    for line in (
        "| Rows, train | 30 |",
        "| Rows, test | 10 |",
        "| Sources | ferry.csv |",
        "| Fingerprint | 0123abcd |",
    ):
        assert line in report


def test_sizes_are_told_by_percentiles_that_some_row_has() -> None:
    assert "| train | 16 | 29 | 30 | 30 |" in render(SUMMARY)


def test_the_imbalance_is_told_and_warned_of_only_when_it_misleads(tmp_path: Path) -> None:
    even = of_labels(tmp_path, SUMMARY)
    assert "2 labels; the largest has 1.9 times the rows of the smallest." in even
    assert "uneven" not in even
    uneven = of_labels(tmp_path, replace(SUMMARY, targets=targets(train=[100, 8], test=[10, 2])))
    assert "11.0 times" in uneven
    assert "uneven" in uneven


def test_a_label_without_any_row_does_not_make_the_imbalance_infinite() -> None:
    assert imbalance(np.array([26, 0])) == 1


def test_a_label_that_a_split_lacks_is_named(tmp_path: Path) -> None:
    lacking = replace(SUMMARY, targets=targets(train=[20, 10], test=[10, 0]))
    assert "Without a row in test: rate." in of_labels(tmp_path, lacking)


def test_clean_rows_have_no_findings() -> None:
    assert "## Findings\n\nNone.\n" in render(SUMMARY)


def test_findings_are_counted_and_placed_errors_first() -> None:
    report = render(with_issues(*issues("warning", "duplicate", 2), *issues("error", "empty", 3)))
    assert "| error | empty | 3 |" in report
    assert "| ferry.csv:2 | text | is wrong |" in report
    assert report.index("### error, empty") < report.index("### warning, duplicate")
    assert "more." not in report


def test_a_hundred_findings_are_listed_and_the_rest_counted() -> None:
    flood = with_issues(*issues("error", "empty", 150), *issues("error", "conflict", 5))
    report = render(flood)
    assert report.count("| ferry.csv:") == 100
    conflicts, empties = report.split("### error, conflict")[1].split("### error, empty")
    assert conflicts.count("| ferry.csv:") == 5, "a rare kind is not drowned by a flood of another"
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


def test_samples_are_shown_by_their_groups() -> None:
    assert "| card | where is it |\n|  | my card |\n| rate | a title &#124; a text |" in render(SUMMARY)


def test_the_json_holds_the_facts_without_every_size(tmp_path: Path) -> None:
    write(tmp_path, with_issues(*issues("error", "empty", 1)))
    facts = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert facts["split_rows"] == {"train": 30, "test": 10}
    assert facts["sizes"]["test"] == {"p50": 6, "p95": 10, "p99": 10, "max": 10}
    assert facts["issue_counts"] == {"error:empty": 1}
    assert facts["issues"][0]["row"] == 2
    assert facts["imbalance"] == pytest.approx(26 / 14)
    assert facts["labels"] == ["card", "rate"]
    assert facts["label_counts"] == {"train": [20, 10], "test": [6, 4]}


def test_hostile_names_labels_and_rows_break_nothing(tmp_path: Path) -> None:
    hostile = "a | b\n\n# c `d` <script>x</script> $x_{$ \udc80"
    issue = Issue("error", "bad_bytes", hostile, hostile, 2, hostile)
    summary = replace(
        with_issues(issue), name=hostile, target={"labels": [hostile, "rate"]}, samples={hostile: [hostile]}
    )
    report = write(tmp_path, replace(summary, targets=targets(train=[0, 30], test=[5, 5])))
    assert "<script" not in report
    assert [line for line in report.splitlines() if line.startswith("# ")] == report.splitlines()[:1]
    assert report.rstrip().splitlines()[-1].count("|") == 3
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["name"] == hostile


def test_an_empty_split_and_no_rows_at_all_are_reported(tmp_path: Path) -> None:
    half = replace(SUMMARY, sizes={"train": [3], "test": []}, targets=targets(train=[1, 0], test=[0, 0]))
    assert "| test | n/a | n/a | n/a | n/a |" in write(tmp_path / "half", half)
    none = replace(SUMMARY, sizes={}, target={"labels": []}, targets=targets(train=[], test=[]), samples={})
    assert "There are no rows." in write(tmp_path / "none", none)


def test_numbers_are_shown_by_percentiles_with_their_unit(tmp_path: Path) -> None:
    text = write(tmp_path, NUMBERS, "regression")
    assert "| In &#36; | Lowest | 5% up to | Half up to | 95% up to | Highest |" in text
    assert "| train | 1.0000 | 2.4500 | 15.50 | 28.55 | 30.00 |\n| test | n/a | n/a | n/a | n/a | n/a |" in text
    facts = json.loads((tmp_path / "report.json").read_text())
    assert facts["targets"]["train"] == pytest.approx({"p0": 1, "p5": 2.45, "p50": 15.5, "p95": 28.55, "p100": 30})
    assert facts["targets"]["test"] is None
    assert (tmp_path / "targets.png").exists()


def height_of_labels_png(path: Path, labels: int) -> int:
    labels_png(path, [f"label_{i}" for i in range(labels)], {"train": np.full(labels, 5), "test": np.full(labels, 1)})
    assert path.stat().st_size < 700_000
    with Image.open(path) as picture:
        return picture.height


def test_more_labels_make_a_taller_picture_with_room_for_every_label(tmp_path: Path) -> None:
    heights = [height_of_labels_png(tmp_path / "x.png", labels) for labels in (2, 28, 77)]
    assert heights == sorted(set(heights))
    assert heights[-1] > 77 * 20, "a line of text needs 20 pixels"


def test_of_too_many_labels_the_ends_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ten = height_of_labels_png(tmp_path / "ten.png", 10)
    monkeypatch.setattr(data_plots, "MOST_BARS", 10)
    assert height_of_labels_png(tmp_path / "many.png", 2000) == ten


@pytest.mark.parametrize("sizes", [[0, 0], [5], list(range(60)), [1, 2, 3, 100_000]])
def test_sizes_of_any_spread_can_be_drawn(tmp_path: Path, sizes: list[int]) -> None:
    sizes_png(tmp_path / "x.png", {"train": sizes, "test": []}, "words")
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.format == "PNG"


@pytest.mark.parametrize("numbers", [[0.0, 0.0], [5.0], [], [-1e15, 0.0, 1e15], list(range(60))])
def test_numbers_of_any_spread_can_be_drawn(tmp_path: Path, numbers: list[float]) -> None:
    targets_png(tmp_path / "x.png", {"train": np.array(numbers, float), "test": np.zeros(0)}, "EUR")
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.format == "PNG"
