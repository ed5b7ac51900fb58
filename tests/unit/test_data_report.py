import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boatyard.data import plots
from boatyard.data.plots import labels_png, lengths_png
from boatyard.data.report import render, write_data_report
from boatyard.data.summary import DataSummary, Issue

pytestmark = pytest.mark.unit

SUMMARY = DataSummary(
    name="inbox",
    fingerprint="0123abcd",
    sources=["inbox.csv"],
    fields=["text"],
    labels=["card", "rate"],
    split_rows={"train": 30, "test": 10},
    label_counts={"train": [20, 10], "test": [6, 4]},
    lengths={"train": np.arange(1, 31), "test": list(range(1, 11))},
    length_unit="words",
    issues=[],
    issue_counts={},
    samples={"card": ["where is it", "my card"], "rate": [("a title", "a text")]},
    quarantined=0,
    quarantine_file=None,
)


def issues(severity: str, kind: str, count: int) -> list[Issue]:
    return [Issue(severity, kind, "is wrong", "inbox.csv", row, "text") for row in range(2, 2 + count)]  # type: ignore[arg-type]


def with_issues(*found: Issue) -> DataSummary:
    return replace(SUMMARY, issues=found, issue_counts=Counter(f"{i.severity}:{i.kind}" for i in found))


def write(folder: Path, summary: DataSummary) -> str:
    write_data_report(folder, summary)
    return (folder / "report.md").read_text(encoding="utf-8")


def test_the_report_opens_with_rows_labels_sources_and_fingerprint() -> None:
    report = render(SUMMARY)
    for line in (
        "| Rows, train | 30 |",
        "| Rows, test | 10 |",
        "| Labels | 2 |",
        "| Sources | inbox.csv |",
        "| Fingerprint | 0123abcd |",
    ):
        assert line in report


def test_lengths_are_told_by_percentiles_that_some_row_has() -> None:
    assert "| train | 16 | 29 | 30 | 30 |" in render(SUMMARY)


def test_the_imbalance_is_told_and_warned_of_only_when_it_misleads() -> None:
    even = render(SUMMARY)
    assert "The largest label has 1.9 times the rows of the smallest." in even
    assert "uneven" not in even
    uneven = replace(SUMMARY, label_counts={"train": [100, 8], "test": [10, 2]})
    assert "11.0 times" in (report := render(uneven))
    assert "uneven" in report


def test_a_label_without_any_row_does_not_make_the_imbalance_infinite() -> None:
    assert replace(SUMMARY, label_counts={"train": [20, 0], "test": [6, 0]}).imbalance() == 1


def test_a_label_that_a_split_lacks_is_named() -> None:
    lacking = replace(SUMMARY, label_counts={"train": [20, 10], "test": [10, 0]})
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


def test_samples_of_one_string_and_of_several_fields_are_shown() -> None:
    report = render(SUMMARY)
    assert "| card | where is it |\n|  | my card |\n| rate | a title / a text |" in report


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
    summary = replace(with_issues(issue), name=hostile, labels=[hostile, "rate"], samples={hostile: [hostile]})
    report = write(tmp_path, replace(summary, label_counts={"train": [0, 30], "test": [5, 5]}))
    assert "<script" not in report
    assert [line for line in report.splitlines() if line.startswith("# ")] == report.splitlines()[:1]
    assert report.rstrip().splitlines()[-1].count("|") == 3
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["name"] == hostile


def test_an_empty_split_and_no_rows_at_all_are_reported(tmp_path: Path) -> None:
    half = replace(SUMMARY, lengths={"train": [3], "test": []}, label_counts={"train": [1, 0], "test": [0, 0]})
    assert "| test | n/a | n/a | n/a | n/a |" in write(tmp_path / "half", half)
    none = replace(SUMMARY, lengths={}, labels=[], label_counts={"train": [], "test": []}, samples={})
    assert "There are no rows." in write(tmp_path / "none", none)
    assert "There are no rows." in write(tmp_path / "none", replace(none, label_counts={}))


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
    monkeypatch.setattr(plots, "MOST_LABELS", 10)
    assert height_of_labels_png(tmp_path / "many.png", 2000) == ten


@pytest.mark.parametrize("lengths", [[0, 0], [5], list(range(60)), [1, 2, 3, 100_000]])
def test_lengths_of_any_spread_can_be_drawn(tmp_path: Path, lengths: list[int]) -> None:
    lengths_png(tmp_path / "x.png", {"train": lengths, "test": []}, "words")
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.format == "PNG"
